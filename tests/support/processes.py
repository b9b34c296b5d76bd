"""Processes of one test: what still runs after it is killed, and every pipe is closed, also when its time was up.

Otherwise a later test is blamed for the process that an earlier one left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self


class Processes:
    """A context manager; `start` takes what `subprocess.Popen` takes, and its output is text."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, text=True, **options)
        self._stack.callback(_end, process)
        return process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()


def _end(process: subprocess.Popen[str]) -> None:
    # Leaving the process's own context closes its pipes and waits for it.
    with process:
        process.kill()
