"""The draw: temperature, top-k, top-p, min-p and one uniform number. It knows no requests and keeps no state.

It inverts the cumulative distribution. Nothing is sorted but the few candidates of top-p; the cumulative sum of a whole
vocabulary runs over sums of blocks, then inside one.
"""

import math

import numpy as np

from inference.sampling.arrays import Doubles, Floats, Indices
from inference.sampling.parameters import SamplingParams

_BLOCK = 256
_GROUPS = 4  # so many for each of the largest that are looked for: then few others are as large
_DEEPEST = 64  # values in a group
_LIKELY = 1e-4  # tokens of at least this share of the mass are tried as the nucleus first


class Draw:
    """Draws from one row of logits at a time, with work space for one vocabulary."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size
        blocks = -(-vocab_size // _BLOCK)
        # The tail beyond the vocabulary stays zero: weights that are never drawn.
        self._padded: Floats = np.zeros(blocks * _BLOCK, np.float32)
        self._weights = self._padded[:vocab_size]

    def __call__(self, row: Floats, top: np.float32, params: SamplingParams, uniform: float) -> int:
        """A token. row: logits, shape [vocab_size], -inf where forbidden. top: the largest of them, finite.
        uniform: a random number in [0, 1)."""
        if 0 < params.top_k < self._size:
            kept = largest(row, params.top_k)
        elif params.top_p == 1 and params.min_p > 0:
            # A candidate too many is no harm: its weight decides.
            kept = (row >= top + params.temperature * (math.log(params.min_p) - 1)).nonzero()[0]
        else:
            return self._draw_of_all(row, top, params, uniform)
        weights = _weights(row[kept], top, params.temperature)
        if params.top_p < 1:
            chosen = _nucleus(weights, float(weights.sum(dtype=np.float64)), params.top_p)
            kept, weights = kept[chosen], weights[chosen]
        return _draw_of(kept, weights, params.min_p, uniform)

    def _draw_of_all(self, row: Floats, top: np.float32, params: SamplingParams, uniform: float) -> int:
        weights = _weights(row, top, params.temperature, self._weights)
        sums = self._padded.reshape(-1, _BLOCK).sum(axis=1).cumsum(dtype=np.float64)
        if params.top_p < 1:
            kept = _nucleus(weights, float(sums[-1]), params.top_p)
            return _draw_of(kept, weights[kept], params.min_p, uniform)
        block = _invert(sums, uniform)
        rest = uniform * sums[-1] - (sums[block - 1] if block else 0.0)
        start = block * _BLOCK
        return start + _pick(self._padded[start : start + _BLOCK].cumsum(dtype=np.float64), rest)


def largest(row: Floats, count: int) -> Indices:
    """The places of the `count` largest, in their order; of equal ones the lower places."""
    # The count-th largest of some groups' maxima is no larger than the count-th largest of all.
    maxima = _maxima(row, _GROUPS * count)
    least = _least(maxima, count) if count < maxima.size else -np.inf
    places = (row >= least).nonzero()[0]
    values = row[places]
    return places if len(places) <= count else _first(places, values, _least(values, count), count)


def _maxima(row: Floats, least: int) -> Floats:
    """The largest value of each group; at least so many groups, if there are as many values.

    The members of a group lie far apart, since the likely tokens of a vocabulary lie together.
    """
    depth = min(row.size // least, _DEEPEST)
    if depth < 2:
        return row
    maxima: Floats = row[: row.size - row.size % depth].reshape(depth, -1).max(axis=0)
    return maxima


def _least(values: Floats, count: int) -> np.float32:
    """The `count`-th largest."""
    least: np.float32 = np.partition(values, -count)[-count]
    return least


def _first(places: Indices, values: Floats, least: np.float32, count: int) -> Indices:
    """The `count` places of values that are at least `least`; too many are equal to it, and the last of these go."""
    kept = (values >= least).nonzero()[0]
    surplus = len(kept) - count
    if surplus:
        kept = np.delete(kept, (values[kept] == least).nonzero()[0][-surplus:])
    return places[kept]


def _weights(row: Floats, top: np.float32, temperature: float, out: Floats | None = None) -> Floats:
    """Probabilities up to a factor: the likeliest token weighs 1."""
    weights = np.subtract(row, top, out=out)
    if temperature != 1:
        with np.errstate(over="ignore"):  # a token so unlikely weighs nothing
            weights *= np.float32(1 / temperature)
    return np.exp(weights, out=weights)


def _draw_of(kept: Indices, weights: Floats, min_p: float, uniform: float) -> int:
    if min_p > 0:
        likely = weights >= min_p
        kept, weights = kept[likely], weights[likely]
    return int(kept[_invert(weights.cumsum(dtype=np.float64), uniform)])


def _invert(cumulative: Doubles, uniform: float) -> int:
    return _pick(cumulative, uniform * float(cumulative[-1]))


def _pick(cumulative: Doubles, target: float) -> int:
    """The first index whose cumulative weight exceeds the target; where rounding lets none, the last of any weight."""
    index = int(cumulative.searchsorted(target, side="right"))
    return index if index < len(cumulative) else int(cumulative.searchsorted(cumulative[-1], side="left"))


def _nucleus(weights: Floats, total: float, share: float) -> Indices:
    """The fewest tokens, the likeliest first, that make up `share` of the total; in the order of their ids."""
    kept = (weights >= total * _LIKELY).nonzero()[0]
    pool = weights[kept]
    if pool.sum(dtype=np.float64) < share * total:
        kept, pool = np.arange(weights.size), weights
    descending = np.sort(pool)[::-1]
    size = _reach(descending.cumsum(dtype=np.float64), share * total)
    return _first(kept, pool, descending[size - 1], size)


def _reach(cumulative: Doubles, mass: float) -> int:
    """How many of the descending weights it takes to reach the mass."""
    return min(int(cumulative.searchsorted(mass, side="left")) + 1, len(cumulative))
