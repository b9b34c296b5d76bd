"""The results as a table for people and as a JSON file for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.results import Row, Samples

HEADINGS = ("measure", "ours", "against", "of medians", "of bests", "target", "met")
VERDICTS = {True: "yes", False: "NO", None: ""}


def table(rows: Sequence[Row]) -> str:
    """One line a row: medians with the bests in brackets, ratios, targets."""
    return grid([HEADINGS, *(_cells(row) for row in rows)])


def grid(lines: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they must be, with a rule below the first line."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    laid_out = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() for line in (laid_out[0], "  ".join("-" * width for width in widths), *laid_out[1:]))


def write_json(folder: Path, now: datetime, name: str, document: Mapping[str, Any]) -> Path:
    """Writes `document` and its time to a new file of `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{now:%Y%m%d-%H%M%S}{name}.json"
    text = json.dumps({"when": now.isoformat(timespec="seconds"), **document}, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path


def _cells(row: Row) -> tuple[str, ...]:
    against = "" if row.against is None else f"{row.against.name}: {_samples(row.against)}"
    ratios = ["" if ratio is None else f"{ratio:.2f}" for ratio in (row.ratio_of_medians, row.ratio_of_bests)]
    target = "" if row.target is None else str(row.target)
    return (f"{row.measure}, {row.unit}", _samples(row.ours), against, *ratios, target, VERDICTS[row.met])


def _samples(samples: Samples) -> str:
    if len(samples.values) == 1:
        return number(samples.median)
    return f"{number(samples.median)} ({number(samples.best)})"


def number(value: float) -> str:
    """Three significant digits, and all of those before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
