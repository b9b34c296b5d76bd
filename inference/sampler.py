"""Draws the next token from logits: penalties, temperature, top-k, top-p, draw. It knows no text and no requests.

The draw inverts the cumulative distribution with one uniform number from the request's own generator. Nothing is
sorted but the few candidates of top-k and top-p, and the cumulative sum runs over sums of blocks, then inside one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.types import SamplingParams

GREEDY_BELOW = 1e-7
NOT_A_NUMBER = -1  # in place of a token, where the logits have no finite maximum
_BLOCK = 256
_LIKELY = 1e-4  # tokens of at least this share of the mass are tried as the nucleus first

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]


class SamplerState:
    """One sequence's generator and, where penalties need them, the tokens it has generated."""

    __slots__ = ("_counts", "_places", "_tokens", "generator", "params", "penalised", "plain_greedy")

    def __init__(self, params: SamplingParams) -> None:
        self.params = params
        self.penalised = bool(params.presence_penalty or params.frequency_penalty)
        self.plain_greedy = params.temperature < GREEDY_BELOW and not self.penalised
        self.generator = np.random.Generator(np.random.PCG64(None if params.seed is None else params.seed % 2**64))
        self._places: dict[int, int] = {}
        self._tokens: NDArray[np.int32] = np.zeros(32, np.int32)
        self._counts: Floats = np.zeros(32, np.float32)

    def count(self, token: int) -> None:
        """A token was generated."""
        place = self._places.setdefault(token, len(self._places))
        if place == len(self._tokens):
            self._tokens = np.concatenate((self._tokens, np.zeros_like(self._tokens)))
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)))
        self._tokens[place] = token
        self._counts[place] += 1

    def penalise(self, row: Floats) -> None:
        """Subtract, in place, the presence penalty and the frequency penalty per occurrence."""
        seen = len(self._places)
        penalty = self.params.presence_penalty + self.params.frequency_penalty * self._counts[:seen]
        row[self._tokens[:seen]] -= penalty


class Sampler:
    """Draws one token per row, with work space for one vocabulary."""

    def __init__(self, vocab_size: int) -> None:
        self._size = vocab_size
        blocks = -(-vocab_size // _BLOCK)
        # The tail beyond the vocabulary stays zero: weights that are never drawn.
        self._weights: Floats = np.zeros(blocks * _BLOCK, np.float32)
        self._scratch: Floats = np.empty(vocab_size, np.float32)

    def sample(self, logits: Floats, states: Sequence[SamplerState]) -> list[int]:
        """A token per row of `logits` [rows, vocab_size], or NOT_A_NUMBER; the logits are left as they are."""
        if all(state.plain_greedy for state in states):
            return _greedy(logits)
        return [self._sample_row(row, state) for row, state in zip(logits, states, strict=True)]

    def _sample_row(self, row: Floats, state: SamplerState) -> int:
        if state.penalised:
            np.copyto(self._scratch, row)
            row = self._scratch
            state.penalise(row)
        greedy = state.params.temperature < GREEDY_BELOW
        token = _greedy(row[None])[0] if greedy else self._draw(row, state)
        if state.penalised and token != NOT_A_NUMBER:
            state.count(token)
        return token

    def _draw(self, row: Floats, state: SamplerState) -> int:
        params = state.params
        top = row.max()
        if not np.isfinite(top):
            return NOT_A_NUMBER
        uniform = state.generator.random()
        if 0 < params.top_k < self._size:
            kept = _largest(row, params.top_k)
            cumulative = _weights(row[kept], top, params.temperature).cumsum(dtype=np.float64)
            size = _reach(cumulative, params.top_p * float(cumulative[-1]))
            return int(kept[_invert(cumulative[:size], uniform)])
        weights = _weights(row, top, params.temperature, self._weights[: self._size])
        sums = self._weights.reshape(-1, _BLOCK).sum(axis=1).cumsum(dtype=np.float64)
        if params.top_p < 1:
            kept = _nucleus(weights, float(sums[-1]), params.top_p)
            return int(kept[_invert(weights[kept].cumsum(dtype=np.float64), uniform)])
        block = _invert(sums, uniform)
        rest = uniform * sums[-1] - (sums[block - 1] if block else 0.0)
        start = block * _BLOCK
        return start + _pick(self._weights[start : start + _BLOCK].cumsum(dtype=np.float64), rest)


def _greedy(logits: Floats) -> list[int]:
    tokens: list[int] = logits.argmax(axis=1).tolist()
    finite = np.isfinite(logits[np.arange(len(tokens)), tokens])
    if not finite.all():
        tokens = [token if good else NOT_A_NUMBER for token, good in zip(tokens, finite, strict=True)]
    return tokens


def _weights(row: Floats, top: np.float32, temperature: float, out: Floats | None = None) -> Floats:
    """Probabilities up to a factor: the likeliest token weighs 1."""
    weights = np.subtract(row, top, out=out)
    if temperature != 1:
        with np.errstate(over="ignore"):  # a token so unlikely weighs nothing
            weights *= np.float32(1 / temperature)
    return np.exp(weights, out=weights)


def _invert(cumulative: Doubles, uniform: float) -> int:
    return _pick(cumulative, uniform * float(cumulative[-1]))


def _pick(cumulative: Doubles, target: float) -> int:
    """The first index whose cumulative weight exceeds the target; where rounding lets none, the last of any weight."""
    index = int(cumulative.searchsorted(target, side="right"))
    return index if index < len(cumulative) else int(cumulative.searchsorted(cumulative[-1], side="left"))


def _largest(row: Floats, count: int) -> Indices:
    """The `count` largest, in descending order; of equal ones the lower ids."""
    blocks = row[: row.size - row.size % _BLOCK].reshape(-1, _BLOCK)
    # The count-th largest of the blocks' maxima is no larger than the count-th largest of all.
    pool = blocks.max(axis=1) if count <= len(blocks) else row
    floor = np.partition(pool, pool.size - count)[pool.size - count]
    candidates = np.flatnonzero(row >= floor)
    return candidates[np.argsort(-row[candidates], kind="stable")[:count]]


def _nucleus(weights: Floats, total: float, share: float) -> Indices:
    """The fewest tokens, the likeliest first, that make up `share` of the total; in the order of their ids."""
    kept = np.flatnonzero(weights >= total * _LIKELY)
    pool = weights[kept]
    if pool.sum(dtype=np.float64) < share * total:
        kept, pool = np.arange(weights.size), weights
    descending = np.sort(pool)[::-1]
    size = _reach(descending.cumsum(dtype=np.float64), share * total)
    cutoff = descending[size - 1]
    kept = kept[pool >= cutoff]
    if len(kept) > size:
        ties = np.flatnonzero(weights[kept] == cutoff)
        kept = np.delete(kept, ties[size - len(kept) :])
    return kept


def _reach(cumulative: Doubles, mass: float) -> int:
    """How many of the descending weights it takes to reach the mass."""
    return min(int(cumulative.searchsorted(mass, side="left")) + 1, len(cumulative))
