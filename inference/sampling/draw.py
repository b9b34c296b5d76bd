"""The draw: temperature, top-k, top-p, min-p and one uniform number. It knows no requests and keeps no state.

It inverts the cumulative distribution. Each of the cuts leaves some of the likeliest tokens, so along their falling
weights all cuts are lengths. Only candidates are sorted; the sum over a vocabulary runs over blocks, then inside one.
"""

import math

import numpy as np

from inference.sampling.arrays import Doubles, Floats, Indices
from inference.sampling.parameters import SamplingParams
from inference.sampling.search import Peaks, largest

_BLOCK = 256
_LIKELY = 1e-4  # tokens of at least this share of the mass are tried as the nucleus first


class Draw:
    """Draws from one row of logits at a time, with work space for one vocabulary."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size
        blocks = -(-vocab_size // _BLOCK)
        # The tail beyond the vocabulary stays zero: weights that are never drawn.
        self._padded: Floats = np.zeros(blocks * _BLOCK, np.float32)
        self._weights = self._padded[:vocab_size]

    def __call__(
        self,
        row: Floats,
        params: SamplingParams,
        uniform: float,
        top: np.float32 | None = None,
        like: Peaks | None = None,
    ) -> int | None:
        """A token, or None if all are forbidden. row: logits, shape [vocab_size], finite, or -inf where forbidden.
        uniform: a random number in [0, 1). top: the largest of them, if it is known. like: the peaks of logits that
        may differ in some places."""
        if 0 < params.top_k < self._size:
            return _draw_of(row, largest(row, params.top_k, like), params, uniform)
        top = row.max() if top is None else top
        if top == -np.inf:
            return None
        if params.top_p == 1 and params.min_p > 0:
            # A candidate too many is no harm: its weight decides.
            least = top + params.temperature * (math.log(params.min_p) - 1)
            return _draw_of(row, (row >= least).nonzero()[0], params, uniform)
        _weigh(row, top, params.temperature, self._weights)
        sums = self._padded.reshape(-1, _BLOCK).sum(axis=1).cumsum(dtype=np.float64)
        if params.top_p < 1:
            kept, rest = self._nucleus(float(sums[-1]), params.top_p)
            return _draw_of(row, kept, params, uniform, rest)
        block = _invert(sums, uniform)
        rest = uniform * sums[-1] - (sums[block - 1] if block else 0.0)
        start = block * _BLOCK
        return start + _pick(self._padded[start : start + _BLOCK].cumsum(dtype=np.float64), rest)

    def _nucleus(self, total: float, share: float) -> tuple[Indices, float]:
        """Tokens that make up `share` of the total, the likeliest among them, and what the others weigh."""
        kept = (self._weights >= total * _LIKELY).nonzero()[0]
        mass = float(self._weights[kept].sum(dtype=np.float64))
        return (kept, total - mass) if mass >= share * total else (self._weights.nonzero()[0], 0.0)


def _draw_of(row: Floats, tokens: Indices, params: SamplingParams, uniform: float, rest: float = 0.0) -> int | None:
    """One of these tokens, which are in the order of their ids. rest: what others weigh that top-p counts."""
    if not tokens.size:
        return None
    logits = row[tokens]
    rising = logits.copy()
    rising.sort()
    rising = rising[-params.top_k :]
    weights = _weigh(rising, rising[-1], params.temperature)
    cumulative = weights[::-1].cumsum(dtype=np.float64)
    if params.top_p < 1:
        cumulative = cumulative[: cumulative.searchsorted(params.top_p * (cumulative[-1] + rest)) + 1]
    if params.min_p > 0:
        cumulative = cumulative[: len(weights) - weights.searchsorted(np.float32(params.min_p))]
    place = _invert(cumulative, uniform)
    value = rising[-1 - place]
    larger = len(rising) - int(rising.searchsorted(value, side="right"))
    return int(tokens[(logits == value).nonzero()[0][place - larger]])


def _weigh(row: Floats, top: np.float32, temperature: float, out: Floats | None = None) -> Floats:
    """Probabilities up to a factor: the likeliest token weighs 1."""
    weights = np.subtract(row, top, out=out)
    if temperature != 1:
        weights *= np.float32(1 / temperature)  # finite, as penalised logits and such a temperature are
    return np.exp(weights, out=weights)


def _invert(cumulative: Doubles, uniform: float) -> int:
    return _pick(cumulative, uniform * float(cumulative[-1]))


def _pick(cumulative: Doubles, target: float) -> int:
    """The first index whose cumulative weight exceeds the target; where rounding lets none, the last of any weight."""
    index = int(cumulative.searchsorted(target, side="right"))
    return index if index < len(cumulative) else int(cumulative.searchsorted(cumulative[-1], side="left"))
