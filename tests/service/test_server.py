"""The server around the calls: readiness, draining, and what happens to those who still read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.model_pb2 import ListModelsRequest
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from answerd.v1.stored_response_pb2 import GetResponseRequest
from service.server import SERVICE_NAME, PortTaken, Server, bind
from service.store import Bounds, open_store
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, bound_port, final, names, read_until, refusal, serving, text_of
from tests.support.watched_channel import watched_channel

Call = Any  # the stubs know it as generic, grpc does not
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def health_of(channel: grpc.aio.Channel, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = (await health_pb2_grpc.HealthStub(channel).Check(request, timeout=WAIT)).status
    return status


async def until_health_is(channel: grpc.aio.Channel, wanted: int) -> None:
    request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
    call = health_pb2_grpc.HealthStub(channel).Watch(request, timeout=WAIT)
    async for reply in call:
        if reply.status == wanted:
            call.cancel()
            return
    raise AssertionError(f"the health never was {wanted}")


async def stored(served: Served, id: str) -> Response:
    record = await served.store.get("local", id)
    assert record is not None
    return Response.FromString(record.response)


async def test_before_the_model_is_there_the_server_lives_but_is_not_ready(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'responses.db'}", Bounds())
    async with bound_port() as port:
        server = Server(port, store, 100)
        await server.start()
        async with watched_channel(f"127.0.0.1:{port.number}") as channel:
            stub = ResponsesServiceStub(channel)
            assert await health_of(channel, "") == SERVING
            assert await health_of(channel, SERVICE_NAME) == NOT_SERVING
            create = await refusal(stub.CreateResponse(CreateResponseRequest(), timeout=WAIT))
            models = await refusal(stub.ListModels(ListModelsRequest(), timeout=WAIT))
            get = await refusal(stub.GetResponse(GetResponseRequest(id="resp_1"), timeout=WAIT))
        await server.stop(grace=0)
    await store.close()
    for fault in (create, models):
        assert (fault.code, fault.reason, fault.retry) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", True)
    assert get.reason == "RESPONSE_NOT_FOUND"


async def test_with_its_model_the_server_is_ready(served: Served) -> None:
    assert await health_of(served.channel, "") == SERVING
    assert await health_of(served.channel, SERVICE_NAME) == SERVING


async def test_reflection_tells_the_services(served: Served) -> None:
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    call = reflection_pb2_grpc.ServerReflectionStub(served.channel).ServerReflectionInfo(iter(requests), timeout=WAIT)
    (reply,) = [reply async for reply in call]
    assert SERVICE_NAME in [service.name for service in reply.list_services_response.service]


async def test_a_second_server_cannot_take_the_port(served: Served) -> None:
    with pytest.raises(PortTaken, match=served.address):
        bind(served.address, 2**20, [])


async def test_a_message_over_the_limit_is_refused(served: Served) -> None:
    fault = await refusal(served.create("x" * 2**20))
    assert fault.code is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_within_the_grace_running_responses_finish_and_new_ones_are_refused(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    stopping = asyncio.create_task(served.server.stop(grace=WAIT))
    await until_health_is(served.channel, NOT_SERVING)
    fault = await refusal(served.create("hi"))
    assert (fault.code, fault.reason, fault.retry) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", True)
    assert await health_of(served.channel, "") == SERVING
    served.gate.open()
    response = final([event async for event in call])
    await stopping
    assert (response.status, text_of(response)) == (ResponseStatus.RESPONSE_STATUS_COMPLETED, LONG)
    assert await stored(served, events[0].created.response.id) == response


async def test_after_the_grace_the_rest_fails_with_what_was_generated(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    await read_until(call, "output_text_delta")
    stopping = asyncio.create_task(served.server.stop(grace=0))
    await until_health_is(served.channel, NOT_SERVING)
    served.gate.hold_after(1)
    events = [event async for event in call]
    served.gate.open()
    await stopping
    assert names(events)[-2:] == ["error", "failed"]
    response = final(events)
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert response.error.message == "the server was stopped"
    assert LONG.startswith(text_of(response))
    assert await stored(served, response.id) == response


@asynccontextmanager
async def stalled(folder: Path, **fields: Any) -> AsyncIterator[tuple[Served, Call]]:
    """A server and a call for a long answer that stands still: its first event is more than the connection holds for
    a reader. The engine has begun with it."""
    small_window = [("grpc.http2.lookahead_bytes", 1024), ("grpc.http2.bdp_probe", 0)]
    async with (
        serving(folder, ANSWERS, context=200_000) as served,
        watched_channel(served.address, options=small_window) as channel,
    ):
        begun, loop = asyncio.Event(), asyncio.get_running_loop()

        def on_call(name: str) -> bool:
            loop.call_soon_threadsafe(begun.set)
            return False

        served.gate.fail = on_call
        served.gate.hold_after(3)
        request = CreateResponseRequest(instructions="n" * 150_000, **fields)
        request.input.text = "long"
        call = ResponsesServiceStub(channel).CreateResponse(request, timeout=WAIT)
        await begun.wait()
        yield served, call
        call.cancel()


async def test_the_answer_of_a_reader_who_does_not_read_is_stored_all_the_same(tmp_path: Path) -> None:
    async with stalled(tmp_path) as (served, _):
        # The engine may be faster than the store.
        while not (records := await served.store.unfinished()):
            pass
        (record,) = records
        served.gate.open()
        assert await served.server.running.ended(within=WAIT)
        response = await served.stub.GetResponse(GetResponseRequest(id=record.id), timeout=WAIT)
        assert (response.status, text_of(response)) == (ResponseStatus.RESPONSE_STATUS_COMPLETED, LONG)
        await served.server.stop(grace=0)
        assert await stored(served, record.id) == response


async def test_text_that_waits_for_its_reader_is_one_delta(tmp_path: Path) -> None:
    async with stalled(tmp_path, store=False) as (served, call):
        served.gate.open()
        assert await served.server.running.ended(within=WAIT)
        events = [event async for event in call]
    assert names(events).count("output_text_delta") == 1
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(final(events)) == LONG


async def test_a_step_without_an_end_cannot_keep_responses_from_being_stored(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    stopping = asyncio.create_task(served.server.stop(grace=0))
    assert await served.server.running.ended(within=WAIT)
    assert (await stored(served, id)).status == ResponseStatus.RESPONSE_STATUS_FAILED
    served.gate.open()
    await stopping


async def test_an_engine_that_fails_again_and_again_is_not_ready_until_it_works(served: Served) -> None:
    served.gate.fail = lambda name: name == "prefill"
    for _ in range(3):
        assert (await served.answer("hi")).status == ResponseStatus.RESPONSE_STATUS_FAILED
    await until_health_is(served.channel, NOT_SERVING)
    served.gate.fail = lambda name: False
    assert (await served.answer("hi")).status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    await until_health_is(served.channel, SERVING)


async def test_an_engine_that_was_shut_down_fails_its_responses_and_takes_no_more(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    await read_until(call, "output_text_delta")
    closing = asyncio.create_task(served.model.engine.close())
    served.gate.open()
    response = final([event async for event in call])
    await closing
    assert response.status in (ResponseStatus.RESPONSE_STATUS_FAILED, ResponseStatus.RESPONSE_STATUS_COMPLETED)
    await until_health_is(served.channel, NOT_SERVING)
    assert (await refusal(served.create("hi"))).reason == "UNAVAILABLE"


async def test_expired_responses_are_swept_at_the_start(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS) as served:
        await served.answer("hi")
        started = served.clock.now
    async with serving(tmp_path, ANSWERS, started=started + 31 * 86400) as served:
        # The sweep was asked for before this.
        assert (await served.store.counts()).records == 0
