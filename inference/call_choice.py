"""Whether an answer begins with a call of a function, by the model's own probabilities of its first token.

It knows no functions and no texts, only which tokens begin a call.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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


def openings_of(token_bytes: Sequence[bytes]) -> tuple[int, ...]:
    """The tokens of a vocabulary that begin a call. token_bytes: what each token id reads as."""
    texts = {text.encode() for text in OPENINGS}
    return tuple(token for token, text in enumerate(token_bytes) if text in texts)


class CallChoice:
    """A Constraint: at the first token it takes the way of a call or that of words, and from there on it is that one.

    score: the mean log-probability of the tokens that begin a call, in nats; None before the first mask.
    """

    def __init__(self, call: Constraint, words: Constraint, openings: Sequence[int], threshold: float) -> None:
        """openings: at least one. threshold: the score from which on a call is made."""
        self._call, self._words = call, words
        self._openings, self._threshold = list(openings), threshold
        self._taken: Constraint | None = None
        self.score: float | None = None

    @property
    def finished(self) -> bool:
        return self._taken is not None and self._taken.finished

    def mask(self, logits: Logits) -> None:
        if self._taken is None:
            self.score = _mean_log_probability(logits, self._openings)
            self._taken = self._call if self.score >= self._threshold else self._words
        self._taken.mask(logits)

    def accept(self, token: int) -> None:
        assert self._taken is not None, "a token is drawn from logits that were masked"
        self._taken.accept(token)


def _mean_log_probability(logits: Logits, tokens: list[int]) -> float:
    top = logits.max()
    total = np.log(np.exp(logits - top).sum(dtype=np.float64))
    return float(logits[tokens].mean(dtype=np.float64) - top - total)
