"""Responses that are stored: who gets, deletes and continues them, running or ended, over a real connection."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest

from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest, StreamResponseRequest
from service.segments import unpack
from service.store import Record
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, serving, settled, text_of


async def test_whoever_saw_the_last_event_can_get_the_same_response(served: Served) -> None:
    response = await served.answer("hi")
    assert await served.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT) == response


async def test_a_running_response_can_be_got_with_its_text_so_far(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    response = await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    assert response.status == ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_IN_PROGRESS
    assert LONG.startswith(text_of(response))
    assert text_of(response)
    served.gate.open()
    assert text_of(final([event async for event in call])) == LONG


async def test_deleting_a_running_response_cancels_it(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    reply = await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    assert (reply.id, reply.deleted) == (id, True)
    # At once, although the engine has not noticed yet: its call of the model is still held.
    get = served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    assert (await refusal(get)).reason == "RESPONSE_NOT_FOUND"
    served.gate.open()
    rest = [event async for event in call]
    assert names(rest)[-1] == "incomplete"
    assert final(rest).status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    await settled(served)
    assert (await served.store.counts()).records == 0


async def test_the_children_of_a_deleted_response_go_on_with_all_that_was_said(served: Served) -> None:
    parent = await served.answer("hi")
    child = await served.answer("hi hi", previous_response_id=parent.id)
    await served.stub.DeleteResponse(DeleteResponseRequest(id=parent.id), timeout=WAIT)
    assert await served.stub.GetResponse(GetResponseRequest(id=child.id), timeout=WAIT) == child
    await served.answer("hi", previous_response_id=child.id)
    assert re.findall("hello|hi again", served.script.prompts[-1]) == [text_of(parent), text_of(child)]


async def test_a_deleted_response_can_be_neither_got_deleted_nor_continued(served: Served) -> None:
    id = (await served.answer("hi")).id
    await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    get = await refusal(served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT))
    delete = await refusal(served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT))
    follow_up = await refusal(served.create("hi", previous_response_id=id))
    assert [get.reason, delete.reason] == ["RESPONSE_NOT_FOUND"] * 2
    assert follow_up.reason == "PREVIOUS_RESPONSE_NOT_FOUND"


async def test_a_foreign_response_is_like_an_unknown_one(tmp_path: Path) -> None:
    def owner_of(key: str | None) -> str | None:
        return key

    def key(owner: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {owner}"),)

    async with serving(tmp_path, ANSWERS, owner_of=owner_of) as served:
        theirs = (await served.answer("hi", caller=key("alice"))).id
        faults = []
        for id in (theirs, "resp_nobody"):
            requests = (
                served.stub.GetResponse(GetResponseRequest(id=id), metadata=key("bob"), timeout=WAIT),
                served.stub.DeleteResponse(DeleteResponseRequest(id=id), metadata=key("bob"), timeout=WAIT),
                served.create("hi", previous_response_id=id, caller=key("bob")),
            )
            found = [await refusal(request) for request in requests]
            faults.append([(fault.code, fault.reason, fault.message.replace(id, "ID")) for fault in found])
        assert faults[0] == faults[1]
        request = GetResponseRequest(id=theirs)
        assert (await served.stub.GetResponse(request, metadata=key("alice"), timeout=WAIT)).id == theirs


async def test_a_foreign_running_response_is_like_an_unknown_one(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        served.gate.hold_after(3)
        call = served.create("long", caller=(("authorization", "Bearer alice"),))
        id = (await read_until(call, "output_text_delta"))[0].created.response.id
        bob = (("authorization", "Bearer bob"),)
        get = served.stub.GetResponse(GetResponseRequest(id=id), metadata=bob, timeout=WAIT)
        delete = served.stub.DeleteResponse(DeleteResponseRequest(id=id), metadata=bob, timeout=WAIT)
        assert [(await refusal(get)).reason, (await refusal(delete)).reason] == ["RESPONSE_NOT_FOUND"] * 2
        served.gate.open()
        assert final([event async for event in call]).status == ResponseStatus.RESPONSE_STATUS_COMPLETED


async def test_a_response_that_still_runs_cannot_be_continued(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    fault = await refusal(served.create("hi", previous_response_id=id))
    assert (fault.code, fault.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PREVIOUS_RESPONSE_NOT_USABLE")
    assert "in_progress" in fault.message
    served.gate.open()
    await read_until(call, "completed")


async def test_a_response_that_is_not_to_be_kept_is_not(served: Served) -> None:
    response = await served.answer("hi", store=False)
    assert text_of(response) == "hello"
    assert not response.store
    assert (await served.store.counts()).records == 0
    fault = await refusal(served.create("hi", previous_response_id=response.id))
    assert fault.reason == "PREVIOUS_RESPONSE_NOT_FOUND"


async def text_stored(served: Served, id: str) -> str:
    """What the events say that the store has."""
    replay = await served.store.replay("local", id)
    assert replay is not None
    return "".join(event.output_text_delta.delta for event in unpack(replay.segments))


async def test_the_text_so_far_is_stored_at_most_once_a_second(served: Served) -> None:
    served.gate.hold_after(0)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    assert await text_stored(served, id) == ""
    served.clock.now += 1.5
    stored = []
    for _ in range(4):
        served.gate.hold_after(1)
        await read_until(call, "output_text_delta")
        # What a delta writes is written when the next one is read.
        stored.append(len(await text_stored(served, id)))
    assert stored[1:] == [2, 2, 2]
    served.gate.open()
    await read_until(call, "completed")


async def test_a_damaged_response_is_told_as_such_and_can_be_deleted(served: Served) -> None:
    id = "resp_damaged"
    await served.store.create(Record(id=id, owner="local", created_at=int(served.clock.now), request=b""))
    await served.store.finish(id, "completed", b"\xff no message")
    get = await refusal(served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT))
    follow_up = await refusal(served.create("hi", previous_response_id=id))
    for fault in (get, follow_up):
        assert (fault.code, fault.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
        assert (
            fault.message == f"Response with ID '{id}' is damaged in the store and cannot be read; it can be deleted."
        )
    assert (await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)).deleted
    assert (await served.store.counts()).records == 0


@pytest.mark.parametrize("segment", [b"\0\0\0\x02\xff\xff", b"\0\0\0\x02\x08\x01\0\0\0\0"])
async def test_damaged_events_are_told_as_such_and_the_response_is_there(served: Served, segment: bytes) -> None:
    whole = Response(id="resp_1", status=ResponseStatus.RESPONSE_STATUS_COMPLETED)
    await served.store.create(
        Record(id="resp_1", owner="local", created_at=int(served.clock.now), request=b""), segment
    )
    await served.store.finish("resp_1", "completed", whole.SerializeToString())
    fault = await refusal(served.stub.StreamResponse(StreamResponseRequest(id="resp_1"), timeout=WAIT))
    assert (fault.code, fault.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    assert "resp_1" in fault.message
    assert await served.stub.GetResponse(GetResponseRequest(id="resp_1"), timeout=WAIT) == whole
