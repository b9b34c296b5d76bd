"""Faults at every moment: the response they hit ends once and is stored, and its neighbours do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeAlias

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import ResponseStatus
from tests.service.neighbour import Neighbour, stored
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, text_of

# Those that come while the answer is generated, and those that come when it is.
DURING = ("created", "in_progress", "output_item_added", "content_part_added", "output_text_delta")
AFTER = ("output_text_done", "content_part_done", "output_item_done", "completed")
TERMINAL = ("completed", "incomplete", "failed")
Call: TypeAlias = "grpc.aio.UnaryStreamCall[CreateResponseRequest, ResponseEvent]"
CANCELLED = ResponseStatus.RESPONSE_STATUS_CANCELLED


@pytest.fixture
async def neighbour(served: Served) -> AsyncIterator[Neighbour]:
    """It waits for the test to open the gate, and with it the engine's thread, in the middle of a step."""
    served.gate.hold_after(1)
    neighbour = Neighbour(served)
    await neighbour.begin()
    yield neighbour
    served.gate.open()
    await neighbour.check()


async def begun(served: Served, kind: str, timeout: float = WAIT) -> tuple[Call, str]:
    """A call up to its first event of this kind, and the id of its response; its answer is not finished."""
    call = served.create("hi", timeout=timeout)
    events = await read_until(call, "created")
    if kind != "created":
        # The neighbour's step ends, and a few more, which are too few for the five tokens of the answer.
        served.gate.hold_after(3)
        await read_until(call, kind)
    return call, id_of(events)


async def gone(served: Served, id: str) -> None:
    """Asks for a response until it is cancelled; the others go on."""
    async with asyncio.timeout(WAIT):
        while (await stored(served, id)).status != CANCELLED:
            pass


def id_of(events: list[ResponseEvent]) -> str:
    return events[0].created.response.id


@pytest.mark.parametrize("kind", DURING)
async def test_a_caller_who_leaves_while_the_answer_is_made_cancels_it(
    served: Served, neighbour: Neighbour, kind: str
) -> None:
    call, id = await begun(served, kind)
    call.cancel()
    await gone(served, id)
    served.gate.open()
    await neighbour.check()
    assert await served.server.running.ended(within=WAIT)
    assert (await stored(served, id)).status == CANCELLED
    assert served.model.engine.live == 0


@pytest.mark.parametrize("kind", AFTER)
async def test_a_caller_who_leaves_when_the_answer_is_made_leaves_it_whole(
    served: Served, neighbour: Neighbour, kind: str
) -> None:
    served.gate.open()
    call = served.create("hi")
    id = id_of(await read_until(call, kind))
    call.cancel()
    assert await served.server.running.ended(within=WAIT)
    assert text_of(await stored(served, id)) == "hello"
    await neighbour.check()
    assert served.model.engine.live == 0


@pytest.mark.parametrize("kind", DURING)
async def test_a_deadline_that_passes_after_any_event_ends_the_call_and_the_response(
    served: Served, neighbour: Neighbour, kind: str
) -> None:
    call, id = await begun(served, kind, timeout=0.3)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_until(call, "completed")
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await gone(served, id)
    served.gate.open()
    await neighbour.check()
    assert await served.server.running.ended(within=WAIT)
    assert (await stored(served, id)).status == CANCELLED


async def test_a_decode_call_that_fails_ends_each_of_its_rows_once_with_the_text_so_far(served: Served) -> None:
    served.gate.hold_after(0)
    calls = [served.create("long") for _ in range(3)]
    seen = [await read_until(call, "created") for call in calls]
    served.gate.hold_after(6)  # now that the engine has all three, they need no more calls than these to begin
    for events, call in zip(seen, calls, strict=True):
        events += await read_until(call, "output_text_delta")
    served.gate.fail = lambda name: name == "decode"
    served.gate.open()
    streams = [events + [event async for event in call] for events, call in zip(seen, calls, strict=True)]
    served.gate.fail = lambda name: False
    for events in streams:
        assert [name for name in names(events) if name in TERMINAL] == ["failed"]
        assert [event.sequence_number for event in events] == list(range(len(events)))
        assert events[-2].error.code == "model_error"
        said = "".join(event.output_text_delta.delta for event in events)
        assert text_of(final(events)) == said != ""
        assert await stored(served, id_of(events)) == final(events)
    assert text_of(await served.answer("hi")) == "hello"


@pytest.mark.parametrize("call", ["prefill", "decode"])
async def test_who_comes_after_a_failed_call_is_answered(served: Served, call: str) -> None:
    failing = [True]
    served.gate.fail = lambda name: name == call and failing.pop() if failing else False
    events = [event async for event in served.create("hi")]
    assert names(events)[-2:] == ["error", "failed"]
    assert text_of(await served.answer("hi")) == "hello"
    assert served.model.engine.live == 0
