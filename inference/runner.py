"""What the engine asks of a model: a cache of positions, and logits. It knows no requests, no text and no sampling.

`inference.onnx` holds the real one and `inference.fakes` a simulated one; both pass the same contract test.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Logits = NDArray[np.float32]


class Runner(Protocol):
    """A model with a cache of `slots` x `max_length` positions; every call is made by one thread, one at a time.

    Positions that a call does not name keep what they hold, in all slots. After a call that raised, the
    positions it named hold nothing of use; the others are as before.
    """

    @property
    def slots(self) -> int: ...

    @property
    def max_length(self) -> int: ...

    @property
    def vocab_size(self) -> int: ...

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        """Write positions start .. start+len(tokens)-1 of the slot, whose positions below `start` are in place.

        Returns the logits of the last `rows` tokens, float32 of shape [rows, vocab_size], valid until the next call;
        rows may be 0.
        """
        ...

    def decode(
        self, first_slot: int, tokens: Sequence[int], positions: Sequence[int], best: int | None = None
    ) -> Logits:
        """Write one token per row, row i into `positions[i]` of slot `first_slot + i`.

        Returns logits, float32 of shape [rows, vocab_size], valid until the next call. best: how many of the largest
        logits of each row are needed, of equal ones those of the lower ids; others may be -inf. None needs all.
        """
        ...

    def swap(self, a: int, length_a: int, b: int, length_b: int) -> None:
        """Exchange the first `length_a` positions of slot `a` with the first `length_b` of slot `b`."""
        ...

    def copy(self, source: int, target: int, length: int, start: int = 0) -> None:
        """Copy the first `length` positions of one slot over those of another, but for the first `start` of them."""
        ...

    def close(self) -> None:
        """Give the memory back; no call follows."""
        ...
