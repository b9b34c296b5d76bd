"""The text of one answer as it may be shown, and the log-probabilities of the tokens that it consists of.

It knows no sampling and no end of an answer but a stop text.
"""

from collections import deque
from collections.abc import Sequence

from inference.detokenizer import Detokenizer
from inference.sampling.logprobs import Logprob
from inference.stops import StopMatcher

Piece = tuple[str, tuple[Logprob, ...]]


class Transcript:
    """Takes tokens and gives pieces of text: never half a character, never part of a stop text.

    A log-probability comes with the piece that holds the first character of its token's text. So it is held back
    with that text, and a token without text, or cut off with a stop text, has none.
    """

    __slots__ = ("_detokenizer", "_logprobs", "_shown", "_stops", "_token_bytes", "length")

    def __init__(self, token_bytes: Sequence[bytes], stops: Sequence[str]) -> None:
        self._token_bytes = token_bytes
        self._detokenizer = Detokenizer(token_bytes)
        self._stops = StopMatcher(stops)
        self.length = self._shown = 0  # characters; the length counts those that are held back
        self._logprobs: deque[Logprob] = deque()

    @property
    def stopped(self) -> bool:
        """Whether a stop text has come: no more is shown."""
        return self._stops.matched

    def push(self, token: int, logprob: Logprob | None) -> Piece:
        """What may be shown now that this token has come."""
        if logprob is not None and self._token_bytes[token]:
            # A character that stays unfinished is shown as one of its own.
            logprob.start = self.length + self._detokenizer.breaks(token)
            self._logprobs.append(logprob)
        text = self._detokenizer.push(token)
        self.length += len(text)
        return self._show(self._stops.push(text))

    def flush(self) -> Piece:
        """What was held back, when no more can come."""
        text = self._stops.push(self._detokenizer.flush())
        if not self._stops.matched:
            text += self._stops.flush()
        return self._show(text)

    def _show(self, text: str) -> Piece:
        self._shown += len(text)
        shown = []
        while self._logprobs and self._logprobs[0].start < self._shown:
            shown.append(self._logprobs.popleft())
        return text, tuple(shown)
