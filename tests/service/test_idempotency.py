"""Requests that are repeated with their key: one generation, one answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest, StreamResponseRequest
from service.idempotency import KEPT_SECONDS
from service.store import Store
from tests.service.conftest import ANSWERS, LONG
from tests.service.failing_store import FailingStore
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, serving, text_of


def keyed(served: Served, text: str = "hi", key: str = "once", **fields: Any) -> Any:
    return served.create(text, caller=(("idempotency-key", key),), **fields)


async def told(served: Served, text: str = "hi", key: str = "once", **fields: Any) -> list[ResponseEvent]:
    return [event async for event in keyed(served, text, key, **fields)]


async def generations(served: Served) -> int:
    return (await served.store.counts()).records


async def test_a_repetition_gets_the_same_events_and_another_key_another_answer(served: Served) -> None:
    first = await told(served)
    assert await told(served) == first
    assert await generations(served) == 1
    assert final(await told(served, key="another")).id != final(first).id


async def test_a_repetition_gets_a_failed_answer_too(served: Served) -> None:
    served.gate.fail = lambda name: name == "decode"
    first = await told(served)
    served.gate.fail = lambda name: False
    assert names(first)[-1] == "failed"
    assert await told(served) == first


async def test_after_a_restart_the_first_answer_is_told(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS) as served:
        first = await told(served, store=False)
    async with serving(tmp_path, ANSWERS) as served:
        assert await told(served, store=False) == first
        served.clock.now += KEPT_SECONDS
        assert final(await told(served, store=False)).id != final(first).id


async def test_two_at_the_same_instant_are_one(served: Served) -> None:
    answers = await asyncio.gather(*(told(served, "long") for _ in range(8)))
    assert await generations(served) == 1
    assert all(answer == answers[0] for answer in answers)
    assert text_of(final(answers[0])) == LONG


async def test_callers_that_join_see_the_same_events_whoever_else_leaves(served: Served) -> None:
    served.gate.hold_after(3)
    first = keyed(served, "long")
    events = await read_until(first, "output_text_delta")
    second, third = keyed(served, "long"), keyed(served, "long")
    assert await read_until(second, "output_text_delta") == events
    assert await read_until(third, "output_text_delta") == events
    first.cancel()
    served.gate.hold_after(5)
    events += await read_until(second, "output_text_delta")
    second.cancel()
    served.gate.open()
    rest = [event async for event in third]
    assert text_of(final(rest)) == LONG
    assert await generations(served) == 1


async def test_another_request_with_the_key_is_refused(served: Served) -> None:
    served.gate.hold_after(3)
    call = keyed(served, "long")
    await read_until(call, "output_text_delta")
    for another in (keyed(served, "hi"), keyed(served, "long", temperature=0.5)):
        fault = await refusal(another)
        assert (fault.code, fault.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "IDEMPOTENCY_KEY_REUSED")
    served.gate.open()
    assert text_of(final([event async for event in call])) == LONG
    assert (await refusal(keyed(served, "hi"))).reason == "IDEMPOTENCY_KEY_REUSED"


async def test_a_key_belongs_to_its_owner(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        ids = set()
        for owner in ("alice", "bob", "alice"):
            caller = (("authorization", f"Bearer {owner}"), ("idempotency-key", "once"))
            ids.add((await served.answer("hi", caller=caller)).id)
        assert len(ids) == 2


async def test_a_refused_request_leaves_its_key_free(tmp_path: Path) -> None:
    stores: list[FailingStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FailingStore(store))
        return stores[0]

    async with serving(tmp_path, ANSWERS, wrap=wrap) as served:
        assert (await refusal(keyed(served, temperature=3))).reason == "INVALID_VALUE"
        for operation in ("find_key", "create"):
            with stores[0].without(operation):
                assert (await refusal(keyed(served))).reason == "STORE_UNAVAILABLE"
        whole = await told(served)
        assert text_of(final(whole)) == "hello"
        with stores[0].without("replay"):
            assert (await refusal(keyed(served))).reason == "STORE_UNAVAILABLE"
        assert await told(served) == whole


async def test_a_deleted_answer_is_not_made_again(served: Served) -> None:
    id = final(await told(served)).id
    await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    assert (await refusal(keyed(served))).reason == "RESPONSE_NOT_FOUND"


async def test_a_response_that_is_not_stored_is_there_for_its_key_alone(served: Served) -> None:
    served.gate.hold_after(3)
    call = keyed(served, "long", store=False)
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    for _ in range(2):
        calls = (
            served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT),
            served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT),
            served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT),
        )
        assert [(await refusal(refused)).reason for refused in calls] == ["RESPONSE_NOT_FOUND"] * 3
        assert (await refusal(served.create("hi", previous_response_id=id))).reason == "PREVIOUS_RESPONSE_NOT_FOUND"
        served.gate.open()
        events += [event async for event in call]
    assert await told(served, "long", store=False) == events
    await served.answer("hi", store=False)
    assert await generations(served) == 1


async def test_a_response_in_the_background_is_returned_once_more(served: Served) -> None:
    served.gate.hold_after(0)
    first = await told(served, background=True)
    assert await told(served, background=True) == first
    served.gate.open()
    assert await served.server.running.ended(within=WAIT)
    assert await told(served, background=True) == first
    assert names(first) == ["created"]


@pytest.mark.parametrize("metadata", [[""], ["x" * 257], ["once", "twice"]])
async def test_a_key_of_another_form_is_refused_by_name(served: Served, metadata: list[str]) -> None:
    caller = tuple(("idempotency-key", key) for key in metadata)
    fault = await refusal(served.create("hi", caller=caller))
    assert fault.reason == "INVALID_VALUE"
    assert "idempotency-key" in fault.message
