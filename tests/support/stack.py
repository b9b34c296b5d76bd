"""A service and a facade around a scripted model, in a thread of this process: one server's two APIs within tenths of
a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.settings import Settings
from facade.server import Facade
from tests.service.served import serving
from tests.support.server import HOST, unused_port

SECONDS = 60.0


@dataclass(frozen=True)
class Stack:
    """Where it listens."""

    url: str
    grpc_target: str


@contextmanager
def running_stack(folder: Path, **scripted: Any) -> Iterator[Stack]:
    """scripted: what `serving` takes. All of it has ended afterwards."""
    started: Future[tuple[Stack, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        async with serving(folder, **scripted) as served:
            port = unused_port()
            facade = Facade(Settings(http_port=port, grpc_target=served.address, grace_seconds=0))
            await facade.start()
            started.set_result((Stack(f"http://{HOST}:{port}", served.address), asyncio.get_running_loop(), stop))
            await stop.wait()
            await facade.stop()

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
