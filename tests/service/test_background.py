"""Responses in the background: queued, begun, left alone, cancelled, and cut off when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.stored_response_pb2 import (
    CancelResponseRequest,
    DeleteResponseRequest,
    GetResponseRequest,
    StreamResponseRequest,
)
from service.generation import STOPPED
from service.store import Store
from tests.service.conftest import ANSWERS, LONG
from tests.service.failing_store import FailingStore
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, serving, text_of

QUEUED, IN_PROGRESS = ResponseStatus.RESPONSE_STATUS_QUEUED, ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
CANCELLED, COMPLETED = ResponseStatus.RESPONSE_STATUS_CANCELLED, ResponseStatus.RESPONSE_STATUS_COMPLETED


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with one slot, and room for one that waits."""
    async with serving(tmp_path, ANSWERS, slots=1, queue=1) as served:
        yield served


async def created(served: Served, text: str = "long") -> str:
    """The id of a new response in the background."""
    [event] = [event async for event in served.create(text, background=True)]
    assert event.created.response.status == QUEUED
    assert event.created.response.background
    return event.created.response.id


async def stored(served: Served, id: str) -> Response:
    return await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)


async def cancelled(served: Served, id: str) -> Response:
    return await served.stub.CancelResponse(CancelResponseRequest(id=id), timeout=WAIT)


async def followed(served: Served, id: str) -> list[ResponseEvent]:
    return [event async for event in served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT)]


async def test_a_call_ends_after_the_first_event_and_the_response_goes_on(served: Served) -> None:
    events = await followed(served, await created(served, "hi"))
    assert names(events)[:4] == ["created", "queued", "in_progress", "output_item_added"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.queued.response.status for event in events[1:2]] == [QUEUED]
    assert [event.in_progress.response.status for event in events[2:3]] == [IN_PROGRESS]
    assert (final(events).status, text_of(final(events))) == (COMPLETED, "hello")
    assert await stored(served, final(events).id) == final(events)


async def test_a_response_is_queued_until_the_engine_begins_it(narrow: Served) -> None:
    narrow.gate.hold_after(0)
    first, second = await created(narrow), await created(narrow, "hi")
    assert (await stored(narrow, second)).status == QUEUED
    assert (await refusal(narrow.create("hi", background=True))).reason == "RATE_LIMIT_EXCEEDED"
    assert (await narrow.store.counts()).records == 2
    narrow.gate.open()
    assert [text_of(final(await followed(narrow, id))) for id in (first, second)] == [LONG, "hello"]


async def test_a_caller_who_leaves_before_the_first_event_leaves_the_response_running(tmp_path: Path) -> None:
    stores: list[FailingStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FailingStore(store))
        return stores[0]

    async with serving(tmp_path, ANSWERS, wrap=wrap) as served:
        asked, released = stores[0].held["create"] = asyncio.Event(), asyncio.Event()
        call = served.create("hi", background=True)
        reading = asyncio.create_task(read_until(call, "created"))
        await asyncio.wait_for(asked.wait(), WAIT)
        call.cancel()
        await asyncio.wait({reading})
        released.set()
        assert await served.server.running.ended(within=WAIT)
        counts = await served.store.counts()
        assert (counts.records, counts.unfinished) == (1, 0)


async def test_a_running_response_is_cancelled_with_its_text_so_far(served: Served) -> None:
    served.gate.hold_after(4)
    id = await created(served)
    reading = served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT)
    events = await read_until(reading, "output_text_delta")
    cancelling = served.stub.CancelResponse(CancelResponseRequest(id=id), timeout=WAIT)
    await stored(served, id)  # a call that came later, so the cancellation has been heard of
    served.gate.open()
    response = await cancelling
    assert response.status == CANCELLED
    assert LONG.startswith(text_of(response))
    assert 0 < len(text_of(response)) < 20
    events += [event async for event in reading]
    assert names(events)[-1] == "incomplete"
    assert final(events) == response == await stored(served, id) == await cancelled(served, id)
    assert served.model.engine.live == 0


async def test_a_queued_response_is_cancelled_without_having_begun(narrow: Served) -> None:
    narrow.gate.hold_after(1)
    first, second = await created(narrow), await created(narrow)
    cancelling = narrow.stub.CancelResponse(CancelResponseRequest(id=second), timeout=WAIT)
    await stored(narrow, second)
    narrow.gate.open()
    assert (await cancelling).status == CANCELLED
    assert names(await followed(narrow, second)) == ["created", "queued", "incomplete"]
    assert text_of(final(await followed(narrow, first))) == LONG


async def test_a_response_that_has_ended_is_returned_as_it_is(served: Served) -> None:
    whole = final(await followed(served, await created(served, "hi")))
    assert await cancelled(served, whole.id) == whole
    assert whole.status == COMPLETED


async def test_only_responses_in_the_background_are_cancelled(served: Served) -> None:
    ended = (await served.answer("hi")).id
    served.gate.hold_after(3)
    call = served.create("long")
    running = (await read_until(call, "output_text_delta"))[0].created.response.id
    for id, reason in ((ended, "NOT_CANCELLABLE"), (running, "NOT_CANCELLABLE"), ("resp_no", "RESPONSE_NOT_FOUND")):
        fault = await refusal(served.stub.CancelResponse(CancelResponseRequest(id=id), timeout=WAIT))
        assert fault.reason == reason
    served.gate.open()
    assert text_of(final([event async for event in call])) == LONG


async def test_nobody_cancels_what_is_somebody_elses(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        served.gate.hold_after(0)
        alice, bob = (("authorization", "Bearer alice"),), (("authorization", "Bearer bob"),)
        [event] = [event async for event in served.create("hi", background=True, caller=alice)]
        request = CancelResponseRequest(id=event.created.response.id)
        fault = await refusal(served.stub.CancelResponse(request, metadata=bob, timeout=WAIT))
        assert fault.reason == "RESPONSE_NOT_FOUND"


async def test_a_deleted_response_stops(served: Served) -> None:
    served.gate.hold_after(3)
    id = await created(served)
    await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    served.gate.open()
    assert await served.server.running.ended(within=WAIT)
    assert served.model.engine.live == 0
    assert (await served.store.counts()).records == 0


async def test_what_a_stop_of_the_server_cuts_off_has_failed(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1) as served:
        served.gate.hold_after(3)
        first, second = await created(served), await created(served)
        stopping = asyncio.create_task(served.server.stop(grace=0))
        served.gate.open()
        await stopping
        for id in (first, second):
            record = await served.store.get("local", id)
            assert record is not None
            response = Response.FromString(record.response)
            assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
            assert response.error.message == STOPPED.message
