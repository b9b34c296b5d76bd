"""Callers with a key who are cut off: the response goes on, and whoever repeats the request gets all of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.stored_response_pb2 import CancelResponseRequest, DeleteResponseRequest, GetResponseRequest
from service.generation import STOPPED
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, read_until, record_of, refusal, serving, settled, text_of

KEY = (("idempotency-key", "once"),)
CANCELLED = ResponseStatus.RESPONSE_STATUS_CANCELLED


async def left(served: Served, **fields: Any) -> list[ResponseEvent]:
    """What a caller has seen of a long response that it leaves in the middle; the server knows that it has gone."""
    served.gate.hold_after(3)
    call = served.create("long", caller=KEY, **fields)
    events = await read_until(call, "output_text_delta")
    call.cancel()
    await heard(served)
    return events


async def heard(served: Served) -> None:
    """Once a later call on the connection was answered, the server knows of a cancellation before it."""
    await refusal(served.stub.GetResponse(GetResponseRequest(id="resp_no"), timeout=WAIT))


async def repeated(served: Served, **fields: Any) -> list[ResponseEvent]:
    return [event async for event in served.create("long", caller=KEY, **fields)]


async def generations(served: Served) -> int:
    return (await served.store.counts()).records


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not stored"])
async def test_a_caller_who_was_cut_off_gets_the_whole_answer_while_it_is_made(served: Served, store: bool) -> None:
    seen = await left(served, store=store)
    again = served.create("long", caller=KEY, store=store)
    events = await read_until(again, "output_text_delta")
    served.gate.open()
    events += [event async for event in again]
    assert events[: len(seen)] == seen
    assert (text_of(final(events)), await generations(served)) == (LONG, 1)


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not stored"])
async def test_a_caller_who_was_cut_off_gets_the_whole_answer_afterwards(served: Served, store: bool) -> None:
    seen = await left(served, store=store)
    served.gate.open()
    await settled(served)
    events = await repeated(served, store=store)
    assert events[: len(seen)] == seen
    assert (text_of(final(events)), await generations(served)) == (LONG, 1)


async def test_a_caller_whose_time_is_up_gets_the_answer_with_more_of_it(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long", caller=KEY, timeout=0.3)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await read_until(call, "completed")
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    await heard(served)
    served.gate.open()
    assert text_of(final(await repeated(served))) == LONG
    assert await generations(served) == 1


async def test_without_a_key_a_caller_who_leaves_cancels_the_response(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    call.cancel()
    await settled(served)
    assert (await record_of(served, id)).status == "cancelled"


async def test_what_goes_on_alone_takes_its_place_in_the_engine(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1, queue=1) as served:
        await left(served)
        waiting = served.create("hi", background=True)
        await read_until(waiting, "created")
        assert (await refusal(served.create("hi"))).reason == "RATE_LIMIT_EXCEEDED"
        assert (await refusal(served.create("hi", caller=(("idempotency-key", "another"),)))).reason == (
            "RATE_LIMIT_EXCEEDED"
        )


@pytest.mark.parametrize("store", [True, False], ids=["stored", "not stored"])
async def test_what_goes_on_alone_can_be_cancelled(served: Served, store: bool) -> None:
    id = (await left(served, store=store))[0].created.response.id
    cancelling = asyncio.ensure_future(cancelled(served, id))
    await heard(served)
    served.gate.open()
    response = await cancelling
    assert (response.status, LONG.startswith(text_of(response))) == (CANCELLED, True)
    assert final(await repeated(served, store=store)) == response
    assert served.model.engine.live == 0
    if store:
        assert await cancelled(served, id) == response


async def cancelled(served: Served, id: str) -> Response:
    return await served.stub.CancelResponse(CancelResponseRequest(id=id), timeout=WAIT)


async def deleted(served: Served, id: str) -> None:
    await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)


async def test_what_goes_on_alone_can_be_deleted(served: Served) -> None:
    id = (await left(served))[0].created.response.id
    await deleted(served, id)
    served.gate.open()
    await settled(served)
    assert (served.model.engine.live, await generations(served)) == (0, 0)
    assert (await refusal(served.create("long", caller=KEY))).reason == "RESPONSE_NOT_FOUND"


async def test_nobody_cancels_what_somebody_else_has_a_key_for(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        served.gate.hold_after(3)
        alice, bob = (("authorization", "Bearer alice"), *KEY), (("authorization", "Bearer bob"),)
        call = served.create("long", caller=alice, store=False)
        id = (await read_until(call, "output_text_delta"))[0].created.response.id
        cancelling = served.stub.CancelResponse(CancelResponseRequest(id=id), metadata=bob, timeout=WAIT)
        assert (await refusal(cancelling)).reason == "RESPONSE_NOT_FOUND"


@pytest.mark.parametrize("grace", [0.0, WAIT], ids=["without a grace", "within the grace"])
async def test_a_stop_of_the_server_ends_what_goes_on_alone(tmp_path: Path, grace: float) -> None:
    async with serving(tmp_path, ANSWERS) as served:
        id = (await left(served))[0].created.response.id
        stopping = asyncio.ensure_future(served.server.stop(grace))
        await unavailable(served)
        served.gate.open()
        await stopping
        response = Response.FromString((await record_of(served, id)).response)
        if grace:
            assert text_of(response) == LONG
        else:
            assert response.error.message == STOPPED.message


async def unavailable(served: Served) -> None:
    """Returns when the server takes no new responses."""
    assert (await refusal(served.create("hi"))).code is grpc.StatusCode.UNAVAILABLE
