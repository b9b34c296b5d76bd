"""A facade and a service with a scripted model, in a thread of this process, for clients that block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.facade.whole import whole
from tests.support.server import unused_port

SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """Where it listens."""

    url: str
    grpc_target: str


@contextmanager
def running_stack(folder: Path, answers: Mapping[str, str], **options: Any) -> Iterator[Stack]:
    """Arguments as of `whole`. All of it has ended afterwards."""
    started: Future[tuple[Stack, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        async with whole(folder, unused_port, answers, **options) as made:
            started.set_result((Stack(made.url, made.served.address), asyncio.get_running_loop(), stop))
            await stop.wait()

    def fail(ended: Future[None]) -> None:
        if not started.done():
            started.set_exception(ended.exception() or RuntimeError("it ended at once"))

    with ThreadPoolExecutor(1, "stack") as thread:
        running = thread.submit(asyncio.run, run())
        running.add_done_callback(fail)
        stack, loop, stop = started.result(SECONDS)
        try:
            yield stack
        finally:
            loop.call_soon_threadsafe(stop.set)
            running.result(SECONDS)
