"""The search for the largest values of a row: a bound from the maxima of groups, then one comparison of the whole."""

import numpy as np

from inference.sampling.arrays import Floats, Indices

_GROUPS = 4  # so many for each of the largest that are looked for: then few others are as large
_DEEPEST = 64  # values in a group
_LOWEST = np.finfo(np.float32).min


class Peaks:
    """What is known of a row's largest values by the maxima of groups of them."""

    __slots__ = ("_rising",)

    def __init__(self, row: Floats, count: int) -> None:
        """count: how many of the largest are looked for."""
        self._rising = np.sort(_maxima(row, count))

    def near(self, count: int) -> np.float32 | None:
        """What the `count` largest and a few others reach; None if it takes more groups to say."""
        return self._rising[-count] if 2 * count <= len(self._rising) else None


def largest(row: Floats, count: int, like: Peaks | None = None) -> Indices:
    """The places of the `count` largest values above -inf, in their order; of equal ones the lower places.

    Some more may be among them, and fewer are there where no others are above -inf. like: the peaks of a row that may
    differ in some places: if as many still reach what is near there, this row's own are not needed.
    """
    if like is not None and (near := like.near(count + count // 8)) is not None:
        places = (row >= max(near, _LOWEST)).nonzero()[0]
        if count <= len(places) <= 2 * count:
            return places
    maxima = _maxima(row, count)
    # The count-th largest of some groups' maxima is no larger than the count-th largest of all.
    least = _least(maxima, count) if count < len(maxima) else _LOWEST
    places = (row >= max(least, _LOWEST)).nonzero()[0]
    return places if len(places) <= 2 * count else _first(places, row[places], count)


def _maxima(row: Floats, count: int) -> Floats:
    """The largest value of each group; groups enough to tell how large the `count` largest are.

    The members of a group lie far apart, since the likely tokens of a vocabulary lie together.
    """
    depth = max(min(row.size // (_GROUPS * count), _DEEPEST), 1)
    maxima: Floats = row[: row.size - row.size % depth].reshape(depth, -1).max(axis=0)
    return maxima


def _least(values: Floats, count: int) -> np.float32:
    """The `count`-th largest."""
    least: np.float32 = np.partition(values, -count)[-count]
    return least


def _first(places: Indices, values: Floats, count: int) -> Indices:
    """The `count` places of the largest values; of those equal to the least of these, the last ones go."""
    least = _least(values, count)
    kept = (values >= least).nonzero()[0]
    surplus = len(kept) - count
    if surplus:
        kept = np.delete(kept, (values[kept] == least).nonzero()[0][-surplus:])
    first: Indices = places[kept]
    return first
