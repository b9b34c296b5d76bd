"""Speculation for the one sequence that decodes. It knows neither scheduling nor the model."""

from collections.abc import Container
from collections.abc import Sequence as Tokens

from inference.sequence import Sequence
from inference.speculation.drafter import Drafter


class Speculator:
    """Remembers the sequence that it drafted for last.

    end_tokens: never drafted, since nothing could follow them. price: of a drafted token, see Costs.
    """

    def __init__(self, end_tokens: Container[int], price: float) -> None:
        self._end_tokens, self._price = end_tokens, price
        self._drafter: Drafter | None = None

    def draft(self, sequence: Sequence, limit: int, forced: Tokens[int] = ()) -> tuple[int, ...]:
        """At most `limit` tokens that are likely to come next, as far as verifying them pays. forced: see Drafter."""
        drafter = self._drafter
        if drafter is None or drafter.sequence is not sequence:
            drafter = self._drafter = Drafter(sequence, self._price)
        draft = drafter.draft(limit, forced)
        ends = (index for index, token in enumerate(draft) if token in self._end_tokens)
        return tuple(draft[: next(ends, len(draft))])

    def verified(self, drafted: int, accepted: int) -> None:
        """The last draft was verified."""
        assert self._drafter is not None
        self._drafter.verified(drafted, accepted)
