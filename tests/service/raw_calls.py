"""A server with the interceptor whose two methods do what a test says, and calls to it with raw bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from answerd.v1 import create_response_pb2, model_pb2, responses_service_pb2
from service.interceptors import CallInterceptor, current_call

SERVICE = responses_service_pb2.DESCRIPTOR.services_by_name["ResponsesService"].full_name
GET, CREATE = f"/{SERVICE}/GetModel", f"/{SERVICE}/CreateResponse"
NO_METADATA: tuple[tuple[str, str], ...] = ()


class Lines:
    """A logger that keeps its lines, and lets a test wait for one."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []
        self._new = asyncio.Event()

    def _write(self, level: str, event: str, **fields: Any) -> None:
        bound = structlog.contextvars.get_contextvars()
        self.kept.append({"level": level, "event": event, "bound": bound, **fields})
        self._new.set()

    def debug(self, event: str, **fields: Any) -> None:
        self._write("debug", event, **fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write("info", event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        self._write("error", event, **fields)

    async def call(self, number: int = 0) -> dict[str, Any]:
        """The number-th line of a call, as soon as it is there."""
        while True:
            calls = [line for line in self.kept if line["event"] == "call"]
            if len(calls) > number:
                return calls[number]
            self._new.clear()
            await asyncio.wait_for(self._new.wait(), 10)


class Served:
    """A server with the interceptor, whose two methods do what a test says, and raw calls to it."""

    def __init__(self, channel: grpc.aio.Channel, lines: Lines) -> None:
        self.channel, self.lines = channel, lines
        self._get: Any = channel.unary_unary(GET, None, None)
        self._create: Any = channel.unary_stream(CREATE, None, None)

    def get(self, request: bytes = b"", metadata: Any = NO_METADATA, timeout: float = 10) -> Any:
        return self._get(request, metadata=metadata, timeout=timeout)

    def create(self, request: bytes = b"", metadata: Any = NO_METADATA, timeout: float = 10) -> Any:
        return self._create(request, metadata=metadata, timeout=timeout)


async def echo_model(request: model_pb2.GetModelRequest, context: Any) -> model_pb2.Model:
    return model_pb2.Model(id=request.id, owned_by=current_call().owner)


async def spell(request: create_response_pb2.CreateResponseRequest, context: Any) -> AsyncIterator[model_pb2.Model]:
    for character in request.input.text:
        yield model_pb2.Model(id=character, owned_by=current_call().owner)


@asynccontextmanager
async def serving(
    get: Callable[..., Any] = echo_model,
    create: Callable[..., Any] = spell,
    owner_of: Callable[[str | None], str | None] = lambda _: "local",
) -> AsyncIterator[Served]:
    lines = Lines()
    server = grpc.aio.server(interceptors=[CallInterceptor(owner_of, logger=lines, clock=iter(range(10**6)).__next__)])
    serialize = model_pb2.Model.SerializeToString
    handlers: dict[str, Any] = {
        "GetModel": grpc.unary_unary_rpc_method_handler(get, model_pb2.GetModelRequest.FromString, serialize),
        "CreateResponse": grpc.unary_stream_rpc_method_handler(
            create, create_response_pb2.CreateResponseRequest.FromString, serialize
        ),
    }
    server.add_registered_method_handlers(SERVICE, handlers)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    await health_servicer.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection((SERVICE,), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Served(channel, lines)
    await server.stop(None)


async def failure_of(call: Any) -> grpc.aio.AioRpcError:
    async def finish() -> None:
        if hasattr(call, "__aiter__"):
            async for _ in call:
                pass
        else:
            await call

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await finish()
    return caught.value


def rich(error: grpc.aio.AioRpcError) -> tuple[str, list[str]]:
    """The reason, and the fields of the violations."""
    ((_, value),) = [(key, value) for key, value in error.trailing_metadata() if key == "grpc-status-details-bin"]
    assert isinstance(value, bytes)
    status = status_pb2.Status.FromString(value)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(info)
        detail.Unpack(bad_request)
    return info.reason, [violation.field for violation in bad_request.field_violations]


async def request_id_of(call: Any) -> str:
    return str(dict(await call.initial_metadata())["x-request-id"])


def raising(error: BaseException) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A unary method, and a stream that does so after its first message."""

    async def get(request: Any, context: Any) -> Any:
        raise error

    async def create(request: Any, context: Any) -> AsyncIterator[model_pb2.Model]:
        yield model_pb2.Model(id="first")
        raise error

    return get, create


def owners(key: str | None) -> str | None:
    return {"key-a": "ann", "key-b": "bob"}.get(key or "")
