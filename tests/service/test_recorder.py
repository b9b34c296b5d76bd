"""The order in which one response is written, whatever the store takes its time with."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.background import Background
from service.recorder import Recorder
from service.segments import pack
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
    recorder.progress(lambda: None, [])
    await asked.wait()
    # While one is being written, no other one begins.
    recorder.progress(lambda: pytest.fail("another one begins"), [])
    ended = asyncio.create_task(recorder.end(CANCELLED, []))
    released.set()
    assert await ended
    record = await store.get("local", "resp_1")
    assert record is not None
    assert Response.FromString(record.response) == CANCELLED
    await background.settle()
    await store.close()


async def test_a_checkpoint_writes_what_is_new_however_much_there_is(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'responses.db'}", Bounds(), lambda: 1.0)
    background, times = Background(), iter(range(0, 100, 2))
    events = [ResponseEvent(sequence_number=number) for number in range(4)]
    begun = CANCELLED.SerializeToString()
    recorder = Recorder(store, Record("resp_1", "local", 1, b"", response=begun), [], background, lambda: next(times))
    await recorder.begin(events)
    written = [pack(events)]
    for _ in range(3):
        new = [ResponseEvent(sequence_number=len(events) + place) for place in range(2)]
        recorder.progress(partial(events.extend, new), events)
        await background.settle()
        written.append(pack(new))
    replay = await store.replay("local", "resp_1")
    assert replay is not None
    assert (list(replay.segments), replay.record.response) == (written, begun)
    await store.close()
