"""One call of the graph: which slots, which tokens, where they stand, how many get logits. Knows no session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Batch:
    """Row i holds `count` tokens for the positions from starts[i] of slot `first` + i.

    tokens: int64 [rows, count]. starts: int64 [rows]. wanted: the last `wanted` tokens of each row get logits.
    """

    first: int
    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    wanted: int

    @classmethod
    def of(cls, first: int, tokens: Sequence[Sequence[int]], starts: Sequence[int], wanted: int) -> Self:
        return cls(first, np.array(tokens, np.int64), np.array(starts, np.int64), wanted)

    @property
    def rows(self) -> int:
        return len(self.tokens)

    @property
    def count(self) -> int:
        return int(self.tokens.shape[1])

    @property
    def past(self) -> int:
        """Positions before the call's, of the longest row."""
        longest: int = max(self.starts.tolist())  # quicker for a few numbers than an array's own maximum
        return longest
