"""The gRPC API as a test calls it, through the generated stubs; every event and response is checked.

The checkers read JSON, into which the messages are put by a mapping of the tests' own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from answerd.v1.stored_response_pb2 import GetResponseRequest
from tests.support.event_json import response_json
from tests.support.openresponses import validate_response
from tests.support.watched_channel import WatchedChannel

SECONDS = 60.0
STREAMING = ("CreateResponse", "StreamResponse")
Call = Any  # grpc's class of a call is not generic, and stubs and implementation disagree on its name


@dataclass(frozen=True)
class Refusal:
    """How a call was refused: gRPC's code, and of the rich status the reason, the message and the fields at fault."""

    code: grpc.StatusCode
    reason: str | None
    message: str
    fields: tuple[str, ...]


def refusal_of(error: Call) -> Refusal:
    """Reads the status of a failed call, as its exception has it."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, faults = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for known in (info, faults):
            detail.Unpack(known)
    fields = tuple(violation.field for violation in faults.field_violations)
    return Refusal(error.code(), info.reason or None, error.details() or "", fields)


class RpcStream:
    """The events of a response as they arrive."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.seen: list[ResponseEvent] = []

    @property
    def id(self) -> str:
        return self.seen[0].created.response.id

    @property
    def text(self) -> str:
        """What was streamed so far."""
        return "".join(event.output_text_delta.delta for event in self.seen)

    @property
    def end(self) -> Response:
        """The response that the last event carries; for a stream that was read to its end."""
        last = self.seen[-1]
        response: Response = getattr(last, last.WhichOneof("event") or "").response
        return response

    def read(self) -> ResponseEvent:
        event: ResponseEvent = next(self.call)
        self.seen.append(event)
        return event

    def read_text(self, pieces: int) -> Self:
        """Reads so many more deltas, by which the response certainly runs."""
        while pieces:
            pieces -= self.read().HasField("output_text_delta")
        return self

    def read_to_end(self) -> Self:
        self.seen.extend(self.call)
        return self


class Rpc:
    """A client of one server; `key` is its API key."""

    def __init__(self, target: str, key: str | None = None, options: tuple[tuple[str, int], ...] = ()) -> None:
        self._watched = WatchedChannel(grpc.insecure_channel(target, options=options))
        self.channel = cast("grpc.Channel", self._watched)
        self.stub = ResponsesServiceStub(self.channel)
        self.metadata = () if key is None else (("authorization", f"Bearer {key}"),)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close()
        if error is None:
            self._watched.check()

    @contextmanager
    def stream(self, request: CreateResponseRequest) -> Iterator[RpcStream]:
        """Leaving the context leaves the response."""
        stream = RpcStream(self.stub.CreateResponse(request, timeout=SECONDS, metadata=self.metadata))
        try:
            yield stream
        finally:
            stream.call.cancel()

    def create(self, request: CreateResponseRequest) -> Response:
        """A response that was generated whole."""
        with self.stream(request) as stream:
            return stream.read_to_end().end

    def get(self, response_id: str) -> Response:
        request = GetResponseRequest(id=response_id)
        response: Response = self.stub.GetResponse(request, timeout=SECONDS, metadata=self.metadata)
        validate_response(response_json(response))
        return response

    def raw_stream(self, method: str, request: bytes) -> Call:
        """A call with bytes of the test's own making."""
        call: Any = self.channel.unary_stream(method)
        return call(request, timeout=SECONDS, metadata=self.metadata)

    def refused(self, method: str, request: Message) -> Refusal:
        """How a call is refused that must not succeed."""
        call = getattr(self.stub, method)
        read: Callable[[Any], object] = list if method in STREAMING else id
        with pytest.raises(grpc.RpcError) as caught:
            read(call(request, timeout=SECONDS, metadata=self.metadata))
        return refusal_of(caught.value)
