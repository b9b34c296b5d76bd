"""The most memory that this process had at a time, within a block: what tests before it took does not hide any."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_RESET = Path("/proc/self/clear_refs")  # proc_pid_clear_refs(5): 5 resets the peak


@dataclass
class Growth:
    """megabytes: by how much the peak was above what there was at the beginning; set when the block ends."""

    megabytes: float = 0.0


@contextmanager
def peak_growth() -> Iterator[Growth]:
    """Measures the block. Where the system cannot reset the peak, only what is above that of the process so far."""
    growth = Growth()
    if _RESET.exists():
        _RESET.write_text("5")
    before = _peak()
    try:
        yield growth
    finally:
        growth.megabytes = _peak() - before


def _peak() -> float:
    if _RESET.exists():
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) / 1e3
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
