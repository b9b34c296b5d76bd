"""What callers hear when the store fails, at each operation, and what is left afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from answerd.v1.response_pb2 import ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from service.store import ParentNotFound, StoreCorrupt
from tests.service.conftest import LONG
from tests.service.failing_store import FailingStore
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, text_of


async def test_a_response_that_cannot_be_stored_is_refused_before_its_first_event(
    failing: tuple[Served, FailingStore],
) -> None:
    served, store = failing
    with store.without("create"):
        fault = await refusal(served.create("long"))
    assert (fault.code, fault.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert "secret" not in fault.message
    assert await served.server.running.ended(within=WAIT)
    assert text_of(await served.answer("hi")) == "hello"
    assert served.model.engine.live == 0


async def test_a_response_that_is_not_kept_needs_no_store(failing: tuple[Served, FailingStore]) -> None:
    served, store = failing
    with store.without("create"), store.without("finish"):
        assert text_of(await served.answer("hi", store=False)) == "hello"


async def test_a_failing_checkpoint_harms_nothing(failing: tuple[Served, FailingStore]) -> None:
    served, store = failing
    served.gate.hold_after(0)
    call = served.create("long")
    await read_until(call, "output_text_delta")
    with store.without("checkpoint"):
        served.clock.now += 1.5
        served.gate.hold_after(2)
        await read_until(call, "output_text_delta")
    served.gate.open()
    response = final([event async for event in call])
    assert text_of(response) == LONG
    assert await served.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT) == response


async def test_a_failing_last_write_fails_the_response_although_its_text_was_streamed(
    failing: tuple[Served, FailingStore],
) -> None:
    served, store = failing
    with store.without("finish"):
        events = [event async for event in served.create("hi")]
    assert names(events)[-5:] == ["output_text_done", "content_part_done", "output_item_done", "error", "failed"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[-2].error.code == "store_unavailable"
    response = final(events)
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert text_of(response) == "hello"


async def test_a_last_write_that_fails_for_a_moment_is_made_up_for(failing: tuple[Served, FailingStore]) -> None:
    """Nobody hears of the end before it is stored, neither the caller nor who gets the response meanwhile."""
    served, store = failing
    asked, released = store.held["finish"] = asyncio.Event(), asyncio.Event()
    served.clock.meanwhile = lambda: store.failing.clear() if len(served.clock.pauses) == 2 else None
    with store.without("finish"):
        call = served.create("hi")
        events = await read_until(call, "output_item_done")
        await asyncio.wait_for(asked.wait(), WAIT)
        request = GetResponseRequest(id=events[0].created.response.id)
        getting = asyncio.ensure_future(served.stub.GetResponse(request, timeout=WAIT))
        # Once a later call on the connection was answered, the server knows of this one.
        await refusal(served.stub.GetResponse(GetResponseRequest(id="resp_no"), timeout=WAIT))
        assert not getting.done()
        released.set()
        events += [event async for event in call]
    assert names(events)[-1] == "completed"
    assert await getting == final(events) == await served.stub.GetResponse(request, timeout=WAIT)
    assert served.clock.pauses == [0.1, 0.4]


async def test_a_store_that_is_damaged_is_not_asked_again(failing: tuple[Served, FailingStore]) -> None:
    served, store = failing
    with store.without("finish", StoreCorrupt("It is damaged.")):
        assert names([event async for event in served.create("hi")])[-2:] == ["error", "failed"]
    assert served.clock.pauses == []


async def test_a_response_whose_last_write_failed_does_not_stay_in_progress(
    failing: tuple[Served, FailingStore],
) -> None:
    served, store = failing
    with store.without("finish"):
        id = final([event async for event in served.create("hi")]).id
    response = await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert response.error.code == "server_error"
    record = await store.get("local", id)
    assert record is not None
    assert record.status == "failed"


async def test_a_caller_who_leaves_while_the_last_write_fails_leaves_no_trouble(
    failing: tuple[Served, FailingStore],
) -> None:
    served, store = failing
    served.gate.hold_after(2)
    call = served.create("long")
    await read_until(call, "output_text_delta")
    with store.without("finish"):
        call.cancel()
        assert await served.server.running.ended(within=WAIT)
    served.gate.open()
    assert text_of(await served.answer("hi")) == "hello"


@pytest.mark.parametrize("operation", ["get", "delete", "chain"])
async def test_a_store_that_cannot_be_read_is_told_as_such(
    failing: tuple[Served, FailingStore], operation: str
) -> None:
    served, store = failing
    id = (await served.answer("hi")).id
    with store.without(operation):
        calls: dict[str, Callable[[], Any]] = {
            "get": lambda: served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT),
            "delete": lambda: served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT),
            "chain": lambda: served.create("hi", previous_response_id=id),
        }
        fault = await refusal(calls[operation]())
    assert (fault.code, fault.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert "secret" not in fault.message
    assert (await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)).id == id


async def test_a_parent_deleted_at_the_last_moment_is_not_found(failing: tuple[Served, FailingStore]) -> None:
    served, store = failing
    id = (await served.answer("hi")).id
    with store.without("create", ParentNotFound("gone meanwhile")):
        fault = await refusal(served.create("hi", previous_response_id=id))
    assert (fault.code, fault.reason) == (grpc.StatusCode.NOT_FOUND, "PREVIOUS_RESPONSE_NOT_FOUND")
    assert served.model.engine.live == 0 or await served.server.running.ended(within=WAIT)


async def test_a_deletion_whose_caller_leaves_meanwhile_is_carried_out_and_ends_the_response(
    failing: tuple[Served, FailingStore],
) -> None:
    served, store = failing
    served.gate.hold_after(2)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    asked, released = store.held["delete"] = asyncio.Event(), asyncio.Event()
    deleting = served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    await asyncio.wait_for(asked.wait(), WAIT)
    deleting.cancel()
    # Once a later call on the connection was answered, the server knows of the cancellation.
    await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    del store.held["delete"]
    released.set()
    again = served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    assert (await refusal(again)).reason == "RESPONSE_NOT_FOUND"
    served.gate.open()
    assert final([event async for event in call]).status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    assert (await store.counts()).records == 0
