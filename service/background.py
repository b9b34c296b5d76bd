"""Work that outlives the call which began it: tasks are kept until they end, and can be waited for together.

It does not know what the tasks do. A task looks after its own errors.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """The tasks of one event loop; belongs to the server."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begins a task that nobody's cancellation ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def settle(self) -> None:
        """Returns when no task is left, those included that others begin meanwhile."""
        while self._tasks:
            await asyncio.wait(self._tasks)
