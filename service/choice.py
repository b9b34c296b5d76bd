"""One choice of a response: what its generation has said and no event tells yet, and how it ended.

It knows neither events nor the other choices.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from inference.sampling.logprobs import Logprob
from inference.stream import Generation
from inference.types import FinishReason, Output
from service.output.parser import OutputParser
from service.output.pieces import Piece, Text, merged


class Choice:
    """Collects the outputs of one generation, taken apart by a parser of its own."""

    def __init__(self, generation: Generation, parser: OutputParser) -> None:
        self.generation = generation
        self.tokens = self.cached_tokens = 0
        self.finish: FinishReason | None = None
        self._parser = parser
        self._pieces: list[Piece] = []
        self._logprobs: list[Logprob] = []
        self._starts: list[int] = []

    @property
    def reasoning_tokens(self) -> int:
        """Tokens of the thought so far, its tags included."""
        end = self._parser.thought_end
        return self.tokens if end is None else bisect_left(self._starts, end)

    def take(self, output: Output) -> None:
        self.tokens += output.tokens
        self.cached_tokens = output.cached_tokens
        self.finish = output.finish
        self._pieces += self._parser.push(output.text)
        if output.finish is not None:
            self._pieces += self._parser.flush()
        self._logprobs += output.logprobs
        self._starts += output.starts

    def waiting(self) -> Iterator[tuple[Piece, list[Logprob]]]:
        """What was said since the last call, merged, and with words the log-probabilities of their tokens."""
        pieces, self._pieces = merged(self._pieces), []
        for piece in pieces:
            yield piece, self._logprobs_of(piece) if isinstance(piece, Text) else []

    def _logprobs_of(self, words: Text) -> list[Logprob]:
        """Those before the words are of a tag or a thought; those behind them may be of words that are held back."""
        begin, end = (
            bisect_left(self._logprobs, place, key=lambda logprob: logprob.start)
            for place in (words.start, words.start + len(words.text))
        )
        chosen, self._logprobs = self._logprobs[begin:end], self._logprobs[end:]
        return chosen
