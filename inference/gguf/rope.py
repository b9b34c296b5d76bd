"""Rotary positions: the angle each pair of a head turns by per position, with the scalings for long contexts.

Rotary embedding: RoFormer, arXiv:2104.09864. YaRN: arXiv:2309.00071. LongRoPE: arXiv:2402.13753.
Knows numbers, neither files nor nodes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

_CHUNK = 1 << 20  # numbers of a table that are made at once


@dataclass(frozen=True, slots=True, eq=False)
class Rope:
    """frequencies: radians a position, one for each pair of a head. magnitude: what cos and sin are multiplied by."""

    frequencies: Float64
    magnitude: float = 1.0

    @property
    def pairs(self) -> int:
        return len(self.frequencies)

    def tables(self, positions: int) -> Iterator[tuple[slice, Float32, Float32]]:
        """cos and sin for `positions` positions, some thousands of rows at a time: [rows, pairs] each."""
        step = max(1, _CHUNK // self.pairs)
        for start in range(0, positions, step):
            rows = slice(start, min(start + step, positions))
            angles = np.outer(np.arange(rows.start, rows.stop, dtype=np.float64), self.frequencies)
            yield (
                rows,
                (np.cos(angles) * self.magnitude).astype(np.float32),
                (np.sin(angles) * self.magnitude).astype(np.float32),
            )


@dataclass(frozen=True, slots=True)
class Yarn:
    """YaRN's parameters: pairs that turn more than `beta_fast` times within `original_context` stay as they are, those
    that turn less than `beta_slow` times are slowed down by the factor, the others by something in between."""

    original_context: int
    beta_fast: float = 32.0
    beta_slow: float = 1.0


def plain(dimensions: int, base: float) -> Float64:
    """The frequencies of RoFormer for a head of which `dimensions` numbers turn."""
    half = dimensions // 2
    frequencies: Float64 = base ** (-np.arange(half, dtype=np.float64) / half)
    return frequencies


def yarn(dimensions: int, base: float, factor: float, settings: Yarn) -> Float64:
    """Frequencies between unscaled (fast pairs) and divided by `factor` (slow ones)."""
    frequencies = plain(dimensions, base)

    def pair_that_turns(times: float) -> float:
        turns = settings.original_context / (times * 2 * math.pi)
        return dimensions * math.log(turns) / (2 * math.log(base))

    low = max(0.0, math.floor(pair_that_turns(settings.beta_fast)))
    high = min(dimensions - 1.0, math.ceil(pair_that_turns(settings.beta_slow)))
    ramp = np.clip((np.arange(dimensions // 2) - low) / max(0.001, high - low), 0.0, 1.0)
    blended: Float64 = frequencies * (1 - ramp) + frequencies / factor * ramp
    return blended


def yarn_magnitude(factor: float) -> float:
    """What YaRN multiplies cos and sin by, so that attention stays as sharp over a longer text."""
    return 1.0 + 0.1 * math.log(factor) if factor > 1 else 1.0
