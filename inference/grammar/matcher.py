"""One answer's place in its grammar: which tokens may follow. It knows no text and no requests."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher

from inference.grammar.reasons import reason_of
from inference.runner import Logits

_FORBIDDEN = np.float32(-np.inf)
# What eight logits may be at most, by the byte of a mask that says which of them are allowed.
_BOUNDS = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1, bitorder="little"), -_FORBIDDEN, _FORBIDDEN
)

logger = logging.getLogger(__name__)


class GrammarMatcher:
    """A Constraint. Where llguidance gives up (its limits on one mask), no token is left and the answer fails."""

    __slots__ = ("_bounds", "_ends", "_matcher", "finished")

    def __init__(self, matcher: LLMatcher, ends: Sequence[int]) -> None:
        """matcher: at its beginning, without an error; nobody else uses it. ends: tokens that end an answer."""
        self._matcher, self._ends = matcher, list(ends)
        self._bounds = np.empty((0, 8), np.float32)  # room for those of a whole mask
        self.finished = False  # whether nothing may follow: the answer ends without an end token

    def fork(self) -> GrammarMatcher:
        """Another answer's place in the same grammar, now the same as this one's."""
        twin = GrammarMatcher(self._matcher.deep_copy(), self._ends)
        twin.finished = self.finished
        return twin

    def mask(self, logits: Logits) -> None:
        """Set the logits, shape [vocab_size], of tokens that may not follow to -inf, in place (40 microseconds)."""
        allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            logger.error("a grammar failed: %s", reason_of(self._matcher))
            logits.fill(_FORBIDDEN)
            return
        if len(self._bounds) != len(allowed):
            self._bounds = np.empty((len(allowed), 8), np.float32)
        # Half of the time of a copy under a mask, which stumbles where allowed tokens are scattered.
        np.take(_BOUNDS, allowed, axis=0, out=self._bounds, mode="clip")  # in this mode without a copy in between
        np.minimum(logits, self._bounds.reshape(-1)[: len(logits)], out=logits)
        if not self._matcher.is_accepting():  # a grammar that names an end token by its number
            logits[self._ends] = _FORBIDDEN

    def accept(self, token: int) -> None:
        """The answer goes on with a token that the last mask left."""
        accepted = self._matcher.consume_token(token)
        self.finished = accepted and self._matcher.is_stopped()
