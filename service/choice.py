"""One choice of a response: what its generation has said and no event tells yet, and how it ended.

It knows neither events nor the other choices.
"""

from __future__ import annotations

from inference.sampling.logprobs import Logprob
from inference.stream import Generation
from inference.types import FinishReason, Output


class Choice:
    """Collects the outputs of one generation."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.tokens = self.cached_tokens = 0
        self.finish: FinishReason | None = None
        self._text: list[str] = []
        self._logprobs: list[Logprob] = []

    def take(self, output: Output) -> None:
        self.tokens += output.tokens
        self.cached_tokens = output.cached_tokens
        self.finish = output.finish
        if output.text:
            self._text.append(output.text)
        self._logprobs += output.logprobs

    def waiting(self) -> tuple[str, list[Logprob]]:
        """The text since the last call, merged, and the log-probabilities of its tokens."""
        said = "".join(self._text), self._logprobs
        self._text, self._logprobs = [], []
        return said
