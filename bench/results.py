"""What was measured, and whether it is what was aimed at. Numbers only: no clock, no processes, no printing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Samples:
    """Repeated measurements of one quantity, at least one. more_is_better: of rates, not of times and sizes."""

    name: str
    values: Sequence[float]
    more_is_better: bool

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def best(self) -> float:
        return max(self.values) if self.more_is_better else min(self.values)


@dataclass(frozen=True)
class Target:
    """A bound on a row's value; at_least: from below, otherwise from above."""

    bound: float
    at_least: bool

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One line of the result: samples of ours, beside others where the target is a ratio of the two."""

    measure: str
    unit: str
    ours: Samples
    against: Samples | None
    target: Target | None

    @property
    def ratio_of_medians(self) -> float | None:
        return None if self.against is None else self.ours.median / self.against.median

    @property
    def ratio_of_bests(self) -> float | None:
        return None if self.against is None else self.ours.best / self.against.best

    @property
    def value(self) -> float:
        """What the target is about: the ratio of medians, or the median where there is nothing beside it."""
        return self.ours.median if self.ratio_of_medians is None else self.ratio_of_medians

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.target.is_met(self.value)

    def as_json(self) -> dict[str, Any]:
        return {
            "measure": self.measure,
            "unit": self.unit,
            "ours": samples_json(self.ours),
            "against": self.against and samples_json(self.against),
            "ratio_of_medians": self.ratio_of_medians,
            "ratio_of_bests": self.ratio_of_bests,
            "target": self.target and str(self.target),
            "met": self.met,
        }


def samples_json(samples: Samples) -> dict[str, Any]:
    return {"name": samples.name, "values": list(samples.values), "median": samples.median, "best": samples.best}
