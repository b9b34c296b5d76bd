"""Every operation of a store fails once: who asked hears it in order, a neighbour does not notice, and what was stored
before is there afterwards.

An operation that the protocol gains needs a case here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import CompactionItem, Item, ItemReference
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest, StreamResponseRequest
from service.recovery import fail_unfinished
from service.store import Store, StoreUnavailable
from tests.service.conftest import ANSWERS
from tests.service.failing_store import FailingStore
from tests.service.neighbour import Neighbour, stored
from tests.service.scripted_model import WAIT
from tests.service.served import Served, fault_of, names, serving, settled, text_of

Call: TypeAlias = Callable[[Served, str], Any]
REFUSED = "STORE_UNAVAILABLE"
TERMINAL = ("completed", "incomplete", "failed")


@dataclass(frozen=True)
class Case:
    """call: what is asked for while the operation fails, given the id of a stored response. ending: the last event, or
    the reason of the refusal."""

    call: Call
    ending: str = REFUSED


def about(item: Item) -> Call:
    """A request with this item in its input."""
    request = CreateResponseRequest(input=Input(items=ItemList(items=[item])))
    return lambda served, id: served.stub.CreateResponse(request, timeout=WAIT)


KEY = (("idempotency-key", "mine"),)
CASES = {
    "create": Case(lambda served, id: served.create("hi")),
    "checkpoint": Case(lambda served, id: served.create("hi"), "completed"),
    "finish": Case(lambda served, id: served.create("hi"), "failed"),
    "get": Case(lambda served, id: served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)),
    "replay": Case(lambda served, id: served.stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT)),
    "chain": Case(lambda served, id: served.create("hi", previous_response_id=id)),
    "find_item": Case(about(Item(item_reference=ItemReference(id="msg_1")))),
    "find_key": Case(lambda served, id: served.create("hi", caller=KEY)),
    "secret": Case(about(Item(compaction=CompactionItem(encrypted_content="AA==")))),
    "delete": Case(lambda served, id: served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)),
}
AT_THE_START = {"unfinished", "sweep"}  # tests of their own, below
NO_PART = {
    "counts": "only tests ask for it",
    "close": "everything has been written before",
}


def test_every_operation_has_its_case() -> None:
    operations = {name for name in vars(Store) if not name.startswith("_")}
    assert operations == {*CASES, *AT_THE_START, *NO_PART}


@pytest.mark.parametrize("operation", CASES)
async def test_an_operation_that_fails_hits_who_asked_and_nobody_else(
    failing: tuple[Served, FailingStore], operation: str
) -> None:
    served, store = failing
    before = await served.answer("hi")
    served.gate.hold_after(1)
    neighbour = Neighbour(served)
    await neighbour.begin()
    with store.without(operation):
        assert await ending(served, CASES[operation].call(served, before.id)) == CASES[operation].ending
    served.gate.open()
    await neighbour.check()
    await settled(served)
    assert await stored(served, before.id) == before
    assert text_of(await served.answer("hi", previous_response_id=before.id, caller=KEY)) == "hello"
    assert served.model.engine.live == 0


async def ending(served: Served, call: Any) -> str:
    """How a call ends: its last event, or the reason of its refusal."""
    events: list[ResponseEvent] = []
    try:
        if not isinstance(call, grpc.aio.UnaryStreamCall):
            return type(await call).__name__
        async for event in call:
            if not events:
                # Enough for this answer and too few for the neighbour's; and time for a checkpoint.
                served.gate.hold_after(20)
                served.clock.now += 1.5
            events.append(event)
    except grpc.aio.AioRpcError as error:
        fault = fault_of(error)
        return "it tells of the disk" if "secret" in fault.message else fault.reason
    assert [name for name in names(events) if name in TERMINAL] == names(events)[-1:]
    return names(events)[-1]


async def test_a_store_that_cannot_be_swept_serves_all_the_same(tmp_path: Path) -> None:
    def wrap(store: Store) -> Store:
        failing = FailingStore(store)
        failing.failing["sweep"] = StoreUnavailable("the disk is full.")
        return failing

    async with serving(tmp_path, ANSWERS, wrap=wrap) as served:
        assert text_of(await served.answer("hi")) == "hello"


async def test_what_a_crash_left_behind_has_to_be_read_before_anything_is_served(
    failing: tuple[Served, FailingStore],
) -> None:
    _, store = failing
    with store.without("unfinished"), pytest.raises(StoreUnavailable):
        await fail_unfinished(store)
