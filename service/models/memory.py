"""Memory in bytes: what this process may have, what it has, and what a model is going to need. Loads nothing."""

from __future__ import annotations

import ctypes
import os
import sys
from glob import escape
from pathlib import Path

from inference.genai_config import ModelConfig

ROOT = Path("/")


def memory_limit(root: Path = ROOT) -> int:
    """What this process may have: all of the machine's memory, or less if a control group above it says so.

    root: where /proc and /sys are (cgroups(7), "memory.max" of version 2 and "memory.limit_in_bytes" of version 1).
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return machine
    return min([machine, *(limit for line in groups for limit in _limits(root, line))])


def resident() -> int:
    """What this process has in memory now; 0 where the system does not tell it as Linux does."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def weights_size(graph: Path) -> int:
    """The weights of an ONNX file: its own bytes and those of the files of external data beside it."""
    return sum(path.stat().st_size for path in graph.parent.glob(f"{escape(graph.name)}*") if path.is_file())


def cache_size(config: ModelConfig, slots: int, context: int, number_size: int) -> int:
    """Keys and values of every position of every slot, and of the one more that swaps need."""
    positions = (slots + 1) * min(context, config.context_length)
    return 2 * config.num_layers * config.num_kv_heads * config.head_size * number_size * positions


def give_back() -> None:
    """Returns to the system what was freed; glibc keeps it for later otherwise (malloc_trim(3))."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def _limits(root: Path, line: str) -> list[int]:
    """The limits of one group and of those above it. line: `hierarchy:controllers:path`."""
    _, controllers, path = line.split(":", 2)
    if controllers == "":
        mount, file = root / "sys/fs/cgroup", "memory.max"
    elif "memory" in controllers.split(","):
        mount, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
    else:
        return []
    # Inside of a container the path may be that of the host, which is not there; the group is then the mount itself.
    folder = mount / path.strip("/")
    folders = [mount, *(above for above in (folder, *folder.parents) if mount in above.parents)]
    texts = [(folder / file).read_text(encoding="ascii").strip() for folder in folders if (folder / file).is_file()]
    return [int(text) for text in texts if text.isdecimal()]
