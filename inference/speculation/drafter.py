"""Drafts the next tokens of one sequence, and drafts none where that does not pay. It makes no calls."""

from collections.abc import Sequence as Tokens

from inference.sequence import Sequence
from inference.speculation.lookup import Lookup
from inference.speculation.odds import Odds

MOST = 15  # tokens of a draft
CAUTION = 1.5  # a drafted token has to be worth so much more than it costs: it delays what comes after it
ALLOWANCE, SHARE = 1.0, 0.03  # decode calls that drafts may lose, and of how many more for each token of the answer


class Drafter:
    """Every token that comes is held against the one that would have been drafted, whether or not it was: so it costs
    next to nothing to learn that a text does not repeat itself. A token is drafted while it is likely enough to save a
    decode call. What verifying lost beyond what it gained stays below a share of the answer.
    """

    __slots__ = ("_balance", "_lookup", "_odds", "_price", "_seen", "sequence")

    def __init__(self, sequence: Sequence, price: float) -> None:
        """price: of one more drafted token in a call, in calls that decode a lone row."""
        self.sequence, self._price = sequence, price
        self._lookup = Lookup(sequence.tokens)
        self._odds = Odds()
        self._seen = 0
        self._balance = 0.0  # decode calls saved

    def draft(self, limit: int, forced: Tokens[int] = ()) -> list[int]:
        """At most `limit` tokens; fewer or none where they are not worth their price. forced: tokens of a text that has
        to come, if they are known; nothing is likelier."""
        self._catch_up()
        made = self._seen - self.sequence.prompt_length
        if self._balance < -(ALLOWANCE + SHARE * made):
            return []
        if forced or not self._lookup.length:
            return list(forced[: min(limit, MOST)])
        count, chance = 0, 1.0
        while count < min(limit, MOST):
            chance *= self._odds.of(self._lookup.length + count)
            if chance < self._price * CAUTION:
                break
            count += 1
        return self._lookup.continuation(count, self._seen)

    def verified(self, drafted: int, accepted: int) -> None:
        """Of so many drafted tokens so many were accepted."""
        self._balance += accepted - drafted * self._price

    def _catch_up(self) -> None:
        """Learn from the tokens that came since the last time."""
        tokens, lookup = self.sequence.tokens, self._lookup
        if not self._seen:
            self._seen = self.sequence.prompt_length
            lookup.advance(self._seen)
        while self._seen < len(tokens):
            if lookup.length:
                self._odds.learn(lookup.length, tokens[self._seen] == tokens[lookup.source])
            self._seen += 1
            lookup.advance(self._seen)
