"""One answer's place in its grammar: which tokens may follow. It knows no text and no requests."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher

from inference.grammar.reasons import reason_of
from inference.runner import Logits

_FORBIDDEN = np.float32(-np.inf)

logger = logging.getLogger(__name__)


class GrammarMatcher:
    """A Constraint. Where llguidance gives up (its limits on one mask), no token is left and the answer fails."""

    __slots__ = ("_ends", "_matcher", "finished")

    def __init__(self, matcher: LLMatcher, ends: Sequence[int]) -> None:
        """matcher: at its beginning, without an error; nobody else uses it. ends: tokens that end an answer."""
        self._matcher, self._ends = matcher, list(ends)
        self.finished = False  # whether nothing may follow: the answer ends without an end token

    def fork(self) -> GrammarMatcher:
        """Another answer's place in the same grammar, now the same as this one's."""
        twin = GrammarMatcher(self._matcher.deep_copy(), self._ends)
        twin.finished = self.finished
        return twin

    def mask(self, logits: Logits) -> None:
        """Set the logits, shape [vocab_size], of tokens that may not follow to -inf, in place (60 microseconds)."""
        allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            logger.error("a grammar failed: %s", reason_of(self._matcher))
            logits.fill(_FORBIDDEN)
            return
        forbidden = np.unpackbits(~allowed, count=len(logits), bitorder="little").view(np.bool_)
        np.copyto(logits, _FORBIDDEN, where=forbidden)
        if not self._matcher.is_accepting():  # a grammar that names an end token by its number
            logits[self._ends] = _FORBIDDEN

    def accept(self, token: int) -> None:
        """The answer goes on with a token that the last mask left."""
        accepted = self._matcher.consume_token(token)
        self.finished = accepted and self._matcher.is_stopped()
