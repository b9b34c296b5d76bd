"""Threads for work that cannot be interrupted, such as the loading of a model; the process does not wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

NAME = "model-loader"
T = TypeVar("T")


def on_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Runs work on a thread of its own; a future that is cancelled leaves it to its end, which nobody hears of."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def tell(report: Callable[[T], None] | Callable[[BaseException], None], value: object) -> None:
        if not future.done():
            report(value)  # type: ignore[arg-type] # each report gets what it takes

    def run_work() -> None:
        report: Callable[..., None] = future.set_result
        try:
            outcome: object = work()
        except BaseException as error:
            report, outcome = future.set_exception, error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(tell, report, outcome)

    threading.Thread(target=run_work, name=NAME, daemon=True).start()
    return future


def is_at_work() -> bool:
    """Whether such a thread runs still."""
    return any(thread.name == NAME for thread in threading.enumerate())
