"""Whether an answer begins with a call of a function, by the model's own probabilities of its first token.

It knows no functions and no texts, only which tokens begin a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.bitmask import Bitmask, all_of, without
from inference.constraint import Constraint
from inference.runner import Logits

# A small model that means to call is not sure in which notation: probability goes to all of them, and the mean of their
# logarithms says more about its intention than the one notation that it was shown.
OPENINGS = (
    *("<", '{"', "{'", "[{", '({"', "'{", "```", "JSON", "Json", "json", "function", "Function", "func", "Func"),
    *("call", "Call", "tool", "Tool", "API", "api", "query", "Query", "command", "Command", "request", "Request"),
    *("args", "arguments"),
)

# Calibrated with the default model and the service's preamble: 53 of 60 questions that need a tool are above it, and 8
# of 60 others (`python -m bench.tool_choice`, the tuning half). From -13 to -12 it makes little difference, and other
# instructions before the tools move the scores by less than that.
THRESHOLD = -12.5


# A model that is so sure of the tag itself is followed, whatever the score. The default model is not, even where it
# repeats a call that it has just read the output of (at most 0.62 of 60 times).
CERTAIN = 0.9


def openings_of(token_bytes: Sequence[bytes]) -> NDArray[np.intp]:
    """The tokens of a vocabulary that begin a call in some notation. token_bytes: what each token id adds to a text."""
    texts = {text.encode() for text in OPENINGS}
    return np.array([token for token, text in enumerate(token_bytes) if text in texts], np.intp)


def beginnings_of(token_bytes: Sequence[bytes], tag: str) -> NDArray[np.intp]:
    """The tokens that can be the first of a tag."""
    return np.array(
        [token for token, text in enumerate(token_bytes) if text and tag.encode().startswith(text)], np.intp
    )


class CallChoice:
    """A Constraint: at the first token it takes the way of a call or that of words, and from there on it is that one.

    score: the mean log-probability of the tokens that begin a call, in nats; None before the first bitmask.
    """

    def __init__(
        self,
        call: Constraint,
        words: Constraint,
        openings: NDArray[np.intp],
        beginnings: NDArray[np.intp],
        threshold: float = THRESHOLD,
    ) -> None:
        """openings: in any notation; without any, only the certainty counts. beginnings: of a call's tag; words do not
        begin with them. threshold: the score from which on a call is made."""
        self._call, self._words = call, words
        self._openings, self._beginnings, self._threshold = openings, beginnings, threshold
        self._taken: Constraint | None = None  # once the first token is drawn
        self._calls = False
        self.score: float | None = None

    @property
    def finished(self) -> bool:
        return self._taken is not None and self._taken.finished

    def allows(self, token: int) -> bool:
        """Which way is taken depends on the logits."""
        return self._taken is not None and self._taken.allows(token)

    def bitmask(self, logits: Logits) -> Bitmask | None:
        if self._taken is not None:
            return self._taken.bitmask(logits)
        if self._is_call(logits):
            return self._call.bitmask(logits)
        words = self._words.bitmask(logits)
        return without(all_of(len(logits)) if words is None else words, self._beginnings)

    def forced(self) -> Sequence[int]:
        return () if self._taken is None else self._taken.forced()

    def accept(self, token: int) -> None:
        if self._taken is None:
            self._taken = self._call if self._calls else self._words
        self._taken.accept(token)

    def _is_call(self, logits: Logits) -> bool:
        top = logits.max()
        with np.errstate(invalid="ignore"):  # what is no number is found by those who draw
            total = top + np.log(np.exp(logits - top).sum(dtype=np.float64))
        certainty = np.exp(logits[self._beginnings].astype(np.float64) - total).sum()
        self.score = float(logits[self._openings].mean(dtype=np.float64) - total) if self._openings.size else -np.inf
        self._calls = bool(self.score >= self._threshold or certainty >= CERTAIN)
        return self._calls
