"""The flags of `python -m bench`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.places import cache_folder
from inference.gguf.packaged import packaged_model

PARTS = (
    "prompt",
    "stream",
    "together",
    "wide",
    "server",
    "follow-up",
    "speculation",
    "sampling",
    "schema",
    "deterministic",
    "pause",
    "loading",
    "memory",
    "growth",
)
REPEAT, GROWTH_REQUESTS = 5, 1000
QUICK_REPEAT, QUICK_GROWTH_REQUESTS = 1, 100


@dataclass(frozen=True)
class Options:
    """only: the parts to run. repeat: turns of each."""

    only: frozenset[str]
    repeat: int
    growth_requests: int
    model: Path
    cache_dir: Path
    out: Path


def parse(argv: Sequence[str]) -> Options:
    """Prints and exits where the flags are wrong or `--help` is among them. Raises ModelFileError without a model."""
    parser = argparse.ArgumentParser(prog="bench", description="Measures speed and memory; see bench/LOG.md.")
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--repeat", type=_positive, metavar="N", help=f"turns of each part (default: {REPEAT})")
    parser.add_argument("--quick", action="store_true", help="one turn of each: to see that it works, not to measure")
    add_places(parser)
    given = parser.parse_args(argv)
    only = frozenset(given.only.split(",")) if given.only else frozenset(PARTS)
    if unknown := only.difference(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    return Options(
        only=only,
        repeat=given.repeat or (QUICK_REPEAT if given.quick else REPEAT),
        growth_requests=QUICK_GROWTH_REQUESTS if given.quick else GROWTH_REQUESTS,
        model=given.model or packaged_model(),
        cache_dir=given.cache_dir,
        out=given.out,
    )


def add_places(parser: argparse.ArgumentParser) -> None:
    """The flags that say where things lie."""
    parser.add_argument("--model", type=Path, metavar="GGUF", help="default: the packaged model")
    parser.add_argument(
        "--cache-dir", type=Path, default=cache_folder(os.environ), metavar="PATH", help="of converted models"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "out", metavar="PATH", help="folder of the JSON files"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
