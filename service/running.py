"""The responses that run now, by id: to be looked at, cancelled, and brought to their end before the server stops.

It knows owners and ends, not what is generated.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.generation import STOPPED, RunningResponse


class RunningResponses:
    """Every response from its admission until its final state is stored. on_end: called after each of them."""

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self._running: dict[str, RunningResponse] = {}
        self._on_end = on_end
        self._admissions = 0
        self._stopped = False
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, id: str) -> bool:
        return id in self._running

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Within it, a response may come to be added: `ended` waits for that, too."""
        self._admissions += 1
        self._none.clear()
        try:
            yield
        finally:
            self._admissions -= 1
            self._tell_if_none()

    def add(self, response: RunningResponse) -> None:
        """Keeps it until it has settled. After `stop` it ends as soon as it has begun."""
        assert response.id not in self._running, "response ids are unique"
        self._running[response.id] = response
        self._none.clear()
        response.on_settled(self._remove)
        if self._stopped:
            response.cut(STOPPED)

    def find(self, owner: str, id: str, *, hidden: bool = False) -> RunningResponse | None:
        """A response that this owner can get by its id, or None. hidden: whether it may be one that nobody can get."""
        response = self._running.get(id)
        if response is None or response.owner != owner:
            return None
        return response if response.is_kept or (hidden and response.is_written) else None

    def find_key(self, owner: str, key: str) -> RunningResponse | None:
        """The response that this owner's idempotency key has, or None."""
        having = (
            response
            for response in self._running.values()
            if response.owner == owner and response.key is not None and response.key.key == key
        )
        return next(having, None)

    def discard(self, id: str) -> None:
        """Ends a response whose record is gone, if it runs: from now on nobody finds it."""
        if id in self._running:
            self._running[id].discard()

    def stop(self) -> None:
        """Ends all of them, and those that are still added, as failed because the server stops."""
        self._stopped = True
        for response in tuple(self._running.values()):
            response.cut(STOPPED)

    def leave(self) -> None:
        """Gives up those that nobody can iterate any more, although the interpreter has not told them yet."""
        for response in tuple(self._running.values()):
            response.leave()

    async def ended(self, within: float) -> bool:
        """Waits until none is left and none is being admitted, at most so many seconds; whether that happened."""
        try:
            async with asyncio.timeout(within):
                await self._none.wait()
        except TimeoutError:
            return False
        return True

    def _remove(self, response: RunningResponse) -> None:
        del self._running[response.id]
        self._tell_if_none()
        self._on_end()

    def _tell_if_none(self) -> None:
        if not self._running and not self._admissions:
            self._none.set()
