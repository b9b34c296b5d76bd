"""Who may call, shown with a real server and client."""

from __future__ import annotations

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from answerd.v1 import create_response_pb2, model_pb2
from answerd.v1.input_pb2 import Input
from tests.service.raw_calls import NO_METADATA, SERVICE, failure_of, owners, rich, serving


@pytest.mark.parametrize("given", ["Bearer key-a", "bearer key-a", "BEARER  key-a "])
async def test_a_key_tells_the_owner(given: str) -> None:
    async with serving(owner_of=owners) as served:
        metadata = (("authorization", given),)
        assert model_pb2.Model.FromString(await served.get(metadata=metadata)).owned_by == "ann"
        request = create_response_pb2.CreateResponseRequest(input=Input(text="x")).SerializeToString()
        (data,) = [data async for data in served.create(request, metadata=metadata)]
        assert model_pb2.Model.FromString(data).owned_by == "ann"
        assert [(await served.lines.call(n))["owner"] for n in (0, 1)] == ["ann", "ann"]


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic key-a", "key-a"])
async def test_a_missing_or_unknown_key_is_refused(given: str | None) -> None:
    metadata = NO_METADATA if given is None else (("authorization", given),)
    async with serving(owner_of=owners) as served:
        for call in (served.get(metadata=metadata), served.create(metadata=metadata)):
            error = await failure_of(call)
            assert (error.code(), rich(error)[0]) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
            assert "wrong" not in str(error.details())


async def test_a_call_without_a_key_is_refused_before_its_message_is_read() -> None:
    async with serving(owner_of=owners) as served:
        assert (await failure_of(served.get(b"\xff\xff"))).code() is grpc.StatusCode.UNAUTHENTICATED


async def test_health_needs_no_key_and_is_not_worth_a_line() -> None:
    async with serving(owner_of=owners) as served:
        stub = health_pb2_grpc.HealthStub(served.channel)
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(request)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        lines = [await served.lines.call(0), await served.lines.call(1)]
        assert [(line["level"], line["code"]) for line in lines] == [("debug", "OK"), ("debug", "CANCELLED")]


@pytest.mark.parametrize(("key", "code"), [("key-a", None), ("wrong", grpc.StatusCode.UNAUTHENTICATED)])
async def test_reflection_needs_a_key_like_everything_else(key: str, code: grpc.StatusCode | None) -> None:
    async with serving(owner_of=owners) as served:
        stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
        asked = [reflection_pb2.ServerReflectionRequest(list_services="")]
        # A refused call is sent nothing: gRPC's client may trip over a write that the refusal overtakes.
        call = stub.ServerReflectionInfo(
            iter(asked) if code is None else None, metadata=(("authorization", f"Bearer {key}"),)
        )
        if code is not None:
            assert (await failure_of(call)).code() is code
        else:
            (answer,) = [answer async for answer in call]
            assert [found.name for found in answer.list_services_response.service] == [SERVICE]
