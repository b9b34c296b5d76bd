"""The messages of one connection that wait for their turn. Bounded: who puts one more waits, and then nothing is read.

It does not know what messages say.
"""

from __future__ import annotations

import asyncio
from collections import deque

from facade.errors import ApiError

MAX_MESSAGES = 16


class Inbox:
    """At most MAX_MESSAGES, and, where it is more than one, at most `limit` bytes. One reads, one writes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[bytes | ApiError] = deque()
        self._changed = asyncio.Condition()
        self._closed = False

    async def put(self, message: bytes | ApiError) -> None:
        """Adds a message, or what is wrong with it, once there is room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(_size(message)))
            self._waiting.append(message)
            self._changed.notify_all()

    async def get(self) -> bytes | ApiError | None:
        """The next one; None once the inbox is closed, whatever still waits."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._waiting)
            if self._closed:
                return None
            self._changed.notify_all()
            return self._waiting.popleft()

    async def close(self) -> None:
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _has_room(self, size: int) -> bool:
        if not self._waiting:
            return True
        held = sum(map(_size, self._waiting))
        return len(self._waiting) < MAX_MESSAGES and held + size <= self._limit


def _size(message: bytes | ApiError) -> int:
    return len(message) if isinstance(message, bytes) else 0
