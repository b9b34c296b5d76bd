"""The order in which one response is written, whatever the store takes its time with."""

import asyncio
from pathlib import Path

from answerd.v1.response_pb2 import Response, ResponseStatus
from service.background import Background
from service.recorder import Recorder
from service.store import Bounds, Record, open_store
from tests.service.failing_store import FailingStore

CANCELLED = Response(id="resp_1", status=ResponseStatus.RESPONSE_STATUS_CANCELLED)


async def test_the_end_of_a_response_is_written_after_its_beginning(tmp_path: Path) -> None:
    """A caller may leave while the record is being made; it must not stay in progress for that."""
    real = await open_store(f"sqlite:///{tmp_path / 'responses.db'}", Bounds(), lambda: 1.0)
    store, background = FailingStore(real), Background()
    asked, released = store.held["create"] = asyncio.Event(), asyncio.Event()
    recorder = Recorder(store, Record("resp_1", "local", 1, b""), [], background, lambda: 0.0)
    beginning = asyncio.create_task(recorder.begin([]))
    await asked.wait()
    beginning.cancel()
    ended = asyncio.create_task(recorder.end(CANCELLED, []))
    released.set()
    assert await ended
    record = await store.get("local", "resp_1")
    assert record is not None
    assert record.status == "cancelled"
    await background.settle()
    await store.close()


async def test_the_end_of_a_response_is_written_after_its_last_checkpoint(tmp_path: Path) -> None:
    real = await open_store(f"sqlite:///{tmp_path / 'responses.db'}", Bounds(), lambda: 1.0)
    store, background, times = FailingStore(real), Background(), iter((0.0, 2.0, 4.0))
    recorder = Recorder(store, Record("resp_1", "local", 1, b""), [], background, lambda: next(times))
    await recorder.begin([])
    asked, released = store.held["checkpoint"] = asyncio.Event(), asyncio.Event()
    recorder.progress(lambda: Response(id="resp_1"), [])
    await asked.wait()
    # While one is being written, no other one begins.
    recorder.progress(lambda: Response(id="never"), [])
    ended = asyncio.create_task(recorder.end(CANCELLED, []))
    released.set()
    assert await ended
    record = await store.get("local", "resp_1")
    assert record is not None
    assert Response.FromString(record.response) == CANCELLED
    await background.settle()
    await store.close()
