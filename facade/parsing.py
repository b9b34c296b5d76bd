"""Parses bodies and reads them into requests, the large ones on another thread, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from facade.body import parse_object
from facade.errors import malformed_json

# Reading a body of this size would hold up the streams of others for some milliseconds.
LARGE_BODY = 256 * 1024
T = TypeVar("T")


class Parsing:
    """For all who have bodies to read, on one event loop."""

    def __init__(self) -> None:
        self._one_large_body = asyncio.Semaphore(1)

    async def parse(self, body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
        """What `read` makes of the JSON object in `body`. Raises ApiError."""
        if len(body) <= LARGE_BODY:
            return _parse(body, read)
        async with self._one_large_body:
            return await asyncio.to_thread(_parse, body, read)


def _parse(body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
    try:
        return read(parse_object(body))
    except (RecursionError, ValueError):
        # Nothing that a body holds may look like a fault of this process.
        raise malformed_json() from None
