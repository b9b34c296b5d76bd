"""A service for tests: a real gRPC server whose replies the test has written beforehand.

    async with FakeService(port) as service:
        service.script = scripts.text("Hello")          # what CreateResponse sends, in order
        service.replay = scripts.text("Hello")[4:]      # what StreamResponse sends
        service.responses["resp_1"] = response           # what GetResponse finds
        ...
        service.requests[0], service.metadata[0]         # what arrived

A script is a list of steps: a ResponseEvent is sent; a Refusal ends the call with its status; WAIT suspends until the
test sets `service.go`; a float is a pause in seconds. The fake validates nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self, TypeAlias

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from answerd.v1 import responses_service_pb2_grpc
from answerd.v1.compaction_pb2 import CompactedResponse, CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListInputItemsResponse
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest, CountInputTokensResponse
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model
from answerd.v1.response_pb2 import Response
from answerd.v1.stored_response_pb2 import (
    CancelResponseRequest,
    DeleteResponseRequest,
    DeleteResponseResponse,
    GetResponseRequest,
    StreamResponseRequest,
)

SERVICE_NAME = "answerd.v1.ResponsesService"


class Wait:
    """A step that lasts until the test sets `service.go`."""


WAIT = Wait()


@dataclass(frozen=True)
class Refusal:
    """The end of a call with a rich status; without a reason, one that gRPC itself might send."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "refused"
    violations: tuple[tuple[str, str], ...] = ()
    retry_seconds: float | None = None
    domain: str = "answerd"

    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        if not self.reason:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        details: list[Any] = [error_details_pb2.ErrorInfo(reason=self.reason, domain=self.domain)]
        if self.violations:
            faults = [
                error_details_pb2.BadRequest.FieldViolation(field=name, description=text)
                for name, text in self.violations
            ]
            details.append(error_details_pb2.BadRequest(field_violations=faults))
        if self.retry_seconds is not None:
            delay = Duration()
            delay.FromMilliseconds(round(self.retry_seconds * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        for detail in details:
            packed = AnyMessage()
            packed.Pack(detail)
            status.details.append(packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


Step: TypeAlias = ResponseEvent | Refusal | Wait | float


@dataclass
class FakeService(responses_service_pb2_grpc.ResponsesServiceServicer):
    """The service on a port of 127.0.0.1. `script`, `replay`, `responses`, `models` and the refusals may change at any
    time."""

    port: int
    script: Iterable[Step] = ()
    replay: Iterable[Step] = ()
    responses: dict[str, Response] = field(default_factory=dict)
    models: list[Model] = field(default_factory=list)
    page: ListInputItemsResponse = field(default_factory=ListInputItemsResponse)
    tokens: int = 7
    compacted: CompactedResponse = field(default_factory=CompactedResponse)
    refusal: Refusal | None = None
    key_refusal: Refusal | None = None
    key_checks: int = 0
    serving: bool = True
    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server(options=(("grpc.so_reuseport", 0), ("grpc.http2.max_ping_strikes", 0)))
        responses_service_pb2_grpc.add_ResponsesServiceServicer_to_server(self, self._server)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        await self.set_serving(self.serving)
        self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.die()

    async def set_serving(self, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        await self._health.set(SERVICE_NAME, states.SERVING if serving else states.NOT_SERVING)

    async def die(self) -> None:
        """Ends at once; calls break off."""
        await self._server.stop(None)

    async def CreateResponse(self, request: CreateResponseRequest, context: Any) -> AsyncIterator[ResponseEvent]:
        self._note(request, context)
        async for event in self._play(self.script, context):
            yield event

    async def StreamResponse(self, request: StreamResponseRequest, context: Any) -> AsyncIterator[ResponseEvent]:
        self._note(request, context)
        async for event in self._play(self.replay, context):
            yield event

    async def _play(self, script: Iterable[Step], context: Any) -> AsyncIterator[ResponseEvent]:
        try:
            for step in script:
                match step:
                    case ResponseEvent():
                        yield step
                    case Refusal():
                        await self._refuse(step, context)
                    case Wait():
                        self.waiting.set()
                        await self.go.wait()
                    case float():
                        await asyncio.sleep(step)
        except (asyncio.CancelledError, GeneratorExit):
            self.cancelled.set()
            raise

    async def GetResponse(self, request: GetResponseRequest, context: Any) -> Response:
        return await self._found(request, context)

    async def DeleteResponse(self, request: DeleteResponseRequest, context: Any) -> DeleteResponseResponse:
        found = await self._found(request, context)
        del self.responses[found.id]
        return DeleteResponseResponse(id=found.id, deleted=True)

    async def ListModels(self, request: ListModelsRequest, context: Any) -> ListModelsResponse:
        await self._enter(request, context)
        return ListModelsResponse(data=self.models)

    async def GetModel(self, request: GetModelRequest, context: Any) -> Model:
        if request.id == "default":
            return await self._check_key(context)
        self._note(request, context)
        for model in self.models:
            if model.id == request.id:
                return model
        await self._refuse(Refusal(grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND", "The model does not exist."), context)

    async def _check_key(self, context: Any) -> Model:
        """What the facade asks before it reads a body; not among `requests`, so that tests find their own there."""
        self.key_checks += 1
        if self.key_refusal is not None:
            await self._refuse(self.key_refusal, context)
        return Model(id="default")

    async def CancelResponse(self, request: CancelResponseRequest, context: Any) -> Response:
        return await self._found(request, context)

    async def ListInputItems(self, request: ListInputItemsRequest, context: Any) -> ListInputItemsResponse:
        await self._enter(request, context)
        return self.page

    async def CountInputTokens(self, request: CountInputTokensRequest, context: Any) -> CountInputTokensResponse:
        await self._enter(request, context)
        return CountInputTokensResponse(input_tokens=self.tokens)

    async def CompactResponse(self, request: CompactResponseRequest, context: Any) -> CompactedResponse:
        await self._enter(request, context)
        return self.compacted

    async def _found(self, request: Any, context: Any) -> Response:
        await self._enter(request, context)
        if request.id not in self.responses:
            message = f"Response with ID '{request.id}' not found."
            await self._refuse(Refusal(grpc.StatusCode.NOT_FOUND, "RESPONSE_NOT_FOUND", message), context)
        return self.responses[request.id]

    async def _enter(self, request: Any, context: Any) -> None:
        self._note(request, context)
        if self.refusal is not None:
            await self._refuse(self.refusal, context)

    def _note(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))

    async def _refuse(self, refusal: Refusal, context: Any) -> NoReturn:
        await context.abort(refusal.code, refusal.message, refusal.trailers())
        raise AssertionError("abort returns")
