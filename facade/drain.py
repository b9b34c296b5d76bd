"""Counts the requests in work, so that a stop can wait for them, and knows whether it does. It knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """The requests in work; it lives on one event loop."""

    def __init__(self) -> None:
        self._running = 0
        self._stopping = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def running(self) -> int:
        return self._running

    @property
    def stopping(self) -> bool:
        """Whether the process only waits for what is in work."""
        return self._stopping.is_set()

    async def until_stopping(self) -> None:
        """Returns once the stop has begun."""
        await self._stopping.wait()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Within it, one request is in work."""
        self._begin()
        try:
            yield
        finally:
            self._end()

    @contextmanager
    def waiting_for_client(self) -> Iterator[None]:
        """Within it, a request in work is none: it needs the rest of what its client sends."""
        self._end()
        try:
            yield
        finally:
            self._begin()

    async def finish(self, seconds: float) -> bool:
        """Begins the stop and waits until nothing is in work; False if that takes longer."""
        self._stopping.set()
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _begin(self) -> None:
        self._running += 1
        self._idle.clear()

    def _end(self) -> None:
        self._running -= 1
        if self._running == 0:
            self._idle.set()
