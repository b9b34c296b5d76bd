"""Prompt-lookup speculation for the one sequence that decodes. It knows neither scheduling nor the model."""

from collections.abc import Container

from inference.sequence import Sequence
from inference.speculation.drafter import Drafter
from inference.speculation.prices import Prices


class Speculator:
    """Remembers the sequence it drafted for last, and over all of them what verifying costs.

    end_tokens: never drafted, since nothing could follow them.
    """

    def __init__(self, end_tokens: Container[int]) -> None:
        self._end_tokens = end_tokens
        self._prices = Prices()
        self._drafter: Drafter | None = None

    def draft(self, sequence: Sequence, limit: int) -> tuple[int, ...]:
        """At most `limit` tokens that are likely to come next, as far as verifying them pays."""
        drafter = self._drafter
        if drafter is None or drafter.sequence is not sequence:
            drafter = self._drafter = Drafter(sequence)
        draft = drafter.draft(limit, self._prices.token)
        ends = (index for index, token in enumerate(draft) if token in self._end_tokens)
        return tuple(draft[: next(ends, len(draft))])

    def verified(self, drafted: int, accepted: int, seconds: float) -> None:
        """A call verified the last draft."""
        assert self._drafter is not None
        self._drafter.verified(accepted, self._prices.verify_took(drafted, seconds))

    def decode_took(self, seconds: float) -> None:
        """A lone row was decoded."""
        self._prices.decode_took(seconds)
