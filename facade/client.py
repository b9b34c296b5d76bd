"""The service as the facade sees it: the gRPC channel and its calls. Failures are ApiErrors; it knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from answerd.v1.compaction_pb2 import CompactedResponse, CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListInputItemsResponse
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest, CountInputTokensResponse
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model
from answerd.v1.response_pb2 import Response
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from answerd.v1.stored_response_pb2 import (
    CancelResponseRequest,
    DeleteResponseRequest,
    DeleteResponseResponse,
    GetResponseRequest,
    StreamResponseRequest,
)
from facade.errors import ApiError
from facade.rpc_errors import api_error

Metadata: TypeAlias = Sequence[tuple[str, str]]
_Reply = TypeVar("_Reply")

SERVICE_NAME = "answerd.v1.ResponsesService"
UNREACHABLE = "UNREACHABLE"
# The name under which every service knows its model.
DEFAULT_MODEL = "default"
HEALTH_SECONDS = 2.0
# How long a stream may take to close after its last event, before it is cancelled.
CLOSING_SECONDS = 1.0
CHANNEL_OPTIONS = (
    # The service bounds what it takes; what it sends is to be passed on, whatever its size.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A failure that lists many faults of a request does not fit into gRPC's 8 KiB.
    ("grpc.max_metadata_size", 64 * 1024),
    # The service may start after the facade, or again: find it within a second, not gRPC's two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A service that vanished without a word is noticed within 30 seconds.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)


def open_channel(target: str) -> grpc.aio.Channel:
    """A channel to any gRPC target; it connects when first used, and again whenever needed."""
    return grpc.aio.insecure_channel(target, options=CHANNEL_OPTIONS)


class EventStream:
    """The events of one response as they arrive."""

    def __init__(self, call: grpc.aio.UnaryStreamCall[Any, ResponseEvent]) -> None:
        self._call = call

    async def read(self) -> ResponseEvent | None:
        """The next event, None at the end. Raises ApiError if the call fails."""
        try:
            event = await self._call.read()
        except grpc.aio.AioRpcError:
            raise await _failure(self._call) from None
        return event if isinstance(event, ResponseEvent) else None

    async def finish(self) -> None:
        """Lets the service close the stream after the last event; whatever else it sends is of no interest."""
        try:
            async with asyncio.timeout(CLOSING_SECONDS):
                while await self.read() is not None:
                    pass
        except (TimeoutError, ApiError):
            self.cancel()

    def cancel(self) -> None:
        self._call.cancel()


class ServiceClient:
    """The calls of the service over one channel. `metadata` is passed on as it is."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = ResponsesServiceStub(channel)
        self._health = health_pb2_grpc.HealthStub(channel)

    def create(self, request: CreateResponseRequest, metadata: Metadata) -> AbstractAsyncContextManager[EventStream]:
        """Starts a response; leaving the context before its events have ended cancels it, unless it is one in the
        background, of which there is one event."""
        return _leaving_cancels(EventStream(self._stub.CreateResponse(request, metadata=tuple(metadata))))

    def follow(self, request: StreamResponseRequest, metadata: Metadata) -> AbstractAsyncContextManager[EventStream]:
        """The events of a stored response; leaving the context leaves the response alone."""
        return _leaving_cancels(EventStream(self._stub.StreamResponse(request, metadata=tuple(metadata))))

    async def get(self, request: GetResponseRequest, metadata: Metadata) -> Response:
        return await _result(self._stub.GetResponse(request, metadata=tuple(metadata)))

    async def cancel(self, request: CancelResponseRequest, metadata: Metadata) -> Response:
        return await _result(self._stub.CancelResponse(request, metadata=tuple(metadata)))

    async def delete(self, request: DeleteResponseRequest, metadata: Metadata) -> DeleteResponseResponse:
        return await _result(self._stub.DeleteResponse(request, metadata=tuple(metadata)))

    async def list_input_items(self, request: ListInputItemsRequest, metadata: Metadata) -> ListInputItemsResponse:
        return await _result(self._stub.ListInputItems(request, metadata=tuple(metadata)))

    async def count_input_tokens(
        self, request: CountInputTokensRequest, metadata: Metadata
    ) -> CountInputTokensResponse:
        return await _result(self._stub.CountInputTokens(request, metadata=tuple(metadata)))

    async def compact(self, request: CompactResponseRequest, metadata: Metadata) -> CompactedResponse:
        return await _result(self._stub.CompactResponse(request, metadata=tuple(metadata)))

    async def list_models(self, metadata: Metadata) -> ListModelsResponse:
        return await _result(self._stub.ListModels(ListModelsRequest(), metadata=tuple(metadata)))

    async def get_model(self, request: GetModelRequest, metadata: Metadata) -> Model:
        return await _result(self._stub.GetModel(request, metadata=tuple(metadata)))

    async def check_key(self, metadata: Metadata) -> None:
        """Returns if the service takes the key in `metadata`; a call that costs it nothing else."""
        await self.get_model(GetModelRequest(id=DEFAULT_MODEL), metadata)

    async def health(self) -> str:
        """SERVING, NOT_SERVING, or what else the service says of itself; UNREACHABLE if it says nothing."""
        request = health_pb2.HealthCheckRequest(service=SERVICE_NAME)
        try:
            reply = await self._health.Check(request, timeout=HEALTH_SECONDS)
        except grpc.aio.AioRpcError:
            return UNREACHABLE
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))


@asynccontextmanager
async def _leaving_cancels(stream: EventStream) -> AsyncIterator[EventStream]:
    try:
        yield stream
    finally:
        stream.cancel()


async def _result(call: grpc.aio.UnaryUnaryCall[Any, _Reply]) -> _Reply:
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        raise api_error(error.code(), error.details(), error.trailing_metadata()) from None


async def _failure(call: grpc.aio.Call) -> ApiError:
    # The call knows how it ended; the exception of a stream may know less.
    return api_error(await call.code(), await call.details(), await call.trailing_metadata())
