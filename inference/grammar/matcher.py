"""One answer's place in its grammar: which tokens may follow. It knows no text and no requests."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from llguidance import LLMatcher

from inference.bitmask import Bitmask, only, without
from inference.grammar.reasons import reason_of
from inference.runner import Logits

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

    def allows(self, token: int) -> bool:
        """Takes a microsecond, wherever it is. A text that is certain may be split into tokens as the model does."""
        # A grammar may name an end token by its number.
        return self._matcher.validate_tokens([token]) == 1 and (token not in self._ends or self._matcher.is_accepting())

    def bitmask(self, logits: Logits) -> Bitmask:
        """Takes 20 microseconds where the grammar leaves little choice, and up to 600 within a bounded string.

        Of a text that is certain it has the longest token."""
        allowed = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        if self._matcher.is_error():
            logger.error("a grammar failed: %s", reason_of(self._matcher))
            return only(len(logits), [])
        return allowed if self._matcher.is_accepting() else without(allowed, self._ends)

    def forced(self) -> Sequence[int]:
        """Takes a tenth of a millisecond where there are any."""
        return self._matcher.compute_ff_tokens()

    def accept(self, token: int) -> None:
        """The answer goes on with a token that may come."""
        accepted = self._matcher.consume_token(token)
        self.finished = accepted and self._matcher.is_stopped()
