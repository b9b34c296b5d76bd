"""Sets of tokens, a bit for each, as grammars make them and kernels take them."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Bitmask: TypeAlias = NDArray[np.uint8]
"""Token i is bit i % 8, from the lowest, of byte i // 8. It covers a vocabulary, and whole words of 32 bits; what is
beyond the vocabulary means nothing."""

Tokens: TypeAlias = Sequence[int] | NDArray[np.intp]

_WORD = 32
# What eight logits may be at most, by the byte that says which of them are meant.
_BOUNDS = np.where(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1, bitorder="little"),
    np.float32(np.inf),
    np.float32(-np.inf),
)


def all_of(size: int) -> Bitmask:
    """A vocabulary of this size."""
    return np.full(-(-size // _WORD) * (_WORD // 8), 255, np.uint8)


def only(size: int, tokens: Tokens) -> Bitmask:
    """These tokens of a vocabulary of this size."""
    return ~without(all_of(size), tokens)


def without(bitmask: Bitmask, tokens: Tokens) -> Bitmask:
    """Those of a set that are not these."""
    left, which = bitmask.copy(), np.asarray(tokens, np.intp)
    np.bitwise_and.at(left, which >> 3, ~(np.uint8(1) << (which & 7).astype(np.uint8)))
    return left


def forbid_others(logits: NDArray[np.float32], bitmask: Bitmask) -> None:
    """Set logits of shape [vocab_size], of tokens that are not in the set, to -inf, in place."""
    # Half of the time of a copy under a mask, which stumbles where the tokens of a set are scattered.
    np.minimum(logits, _BOUNDS[bitmask].reshape(-1)[: len(logits)], out=logits)
