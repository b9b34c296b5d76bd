"""How likely a drafted token is right, by the length of the match that it comes from. It knows no tokens."""

from bisect import bisect_right

# Of matches of at least so many tokens: the share assumed before any token came, and for how many tokens it counts.
FLOORS = (0, 3, 4, 6, 9, 15)
ASSUMED = (0.25, 0.35, 0.55, 0.8, 0.9, 0.96)
WEIGHT = 5.0


class Odds:
    """Shares of right tokens, learned as they come; one text's habits differ from another's."""

    __slots__ = ("_right", "_tried")

    def __init__(self) -> None:
        self._right = [WEIGHT * share for share in ASSUMED]
        self._tried = [WEIGHT] * len(ASSUMED)

    def of(self, length: int) -> float:
        """The probability that the token after a match of `length` tokens is the next one."""
        group = bisect_right(FLOORS, length) - 1
        return self._right[group] / self._tried[group]

    def learn(self, length: int, right: bool) -> None:
        """The token after a match of `length` tokens came."""
        group = bisect_right(FLOORS, length) - 1
        self._right[group] += right
        self._tried[group] += 1
