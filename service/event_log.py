"""The numbered events of one response while it runs, and any number of readers, each at a place of its own.

It knows neither what the events say nor who makes them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Self

from answerd.v1.event_pb2 import ResponseEvent


class EventLog:
    """Events in their order; the one at place n has the number n. What is in it never changes.

    tell: called when a reader has read everything, to append what waits to be said. So text is merged until somebody
    has use for it, and a reader who is slow, or stands still, delays nobody.
    """

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._events: list[ResponseEvent] = []
        self._news = asyncio.Event()
        self._closed = False
        self._failure: Exception | None = None

    @property
    def events(self) -> Sequence[ResponseEvent]:
        """All of them so far; the list grows."""
        return self._events

    def append(self, events: Sequence[ResponseEvent]) -> None:
        assert not self._closed, "nothing follows the last event"
        if events:
            self._events += events
            self.wake()

    def wake(self) -> None:
        """There is something to tell: readers who wait look again."""
        self._news.set()
        self._news = asyncio.Event()

    def close(self, failure: Exception | None = None) -> None:
        """Nothing follows. Readers who have read everything end, or get the failure. Only the first call counts."""
        if not self._closed:
            self._closed, self._failure = True, failure
            self.wake()

    async def closed(self) -> None:
        """Returns when the log is closed."""
        while not self._closed:
            await self._news.wait()

    def read(self, after: int = -1) -> AsyncIterator[ResponseEvent]:
        """The events with a number greater than `after`, those to come included. Raises the failure at its end. Needs
        no closing."""
        return _Reader(self, after + 1)

    async def _at(self, place: int) -> ResponseEvent | None:
        """The event at a place, as soon as it is there; None if it never will be."""
        while True:
            news = self._news
            if place >= len(self._events) and not self._closed:
                self._tell()
            if place < len(self._events):
                return self._events[place]
            if self._closed:
                break
            await news.wait()
        if self._failure is not None:
            raise self._failure
        return None


class _Reader:
    def __init__(self, log: EventLog, place: int) -> None:
        self._log, self._place = log, place

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ResponseEvent:
        event = await self._log._at(self._place)
        if event is None:
            raise StopAsyncIteration
        self._place += 1
        return event
