"""Signals as values in a queue: while an `Inbox` is open, a signal interrupts nothing and is read by `wait`.

Knows nothing of processes.
"""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Iterable
from types import FrameType, TracebackType
from typing import Any


class Inbox:
    """Collects the given signals between `__enter__` and `__exit__`. For the main thread only."""

    def __init__(self, signals: Iterable[signal.Signals]) -> None:
        self._signals = tuple(signals)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Inbox:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, _noted) for number in self._signals}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()

    def wait(self, seconds: float | None) -> list[signal.Signals]:
        """The signals that arrived, as soon as there is one, or none after `seconds` (None: no limit)."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        return [signal.Signals(number) for number in self._reader.recv(4096)] if ready else []


def _noted(number: int, frame: FrameType | None) -> None:
    """The number is already in the pipe; a Python handler only has to exist for that."""
