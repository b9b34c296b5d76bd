"""A real gRPC server, engine and store in this process, around a scripted model, and what its tests need beside it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from inference.fakes import Reply, ScriptedRunner
from service.interceptors import CallInterceptor
from service.models.catalogue import Models
from service.models.loading import Prepare, PreparedModel
from service.models.served import ServedModel
from service.models.spec import ModelSpec
from service.server import Port, Server, bind
from service.store import Bounds, Record, Store, open_store
from tests.service.scripted_model import CHATML, END, TOKENIZER, WAIT, Clock, Gate, Script, a_spec, scripted
from tests.support.watched_channel import watched_channel

if TYPE_CHECKING:  # a name of the stubs only
    from answerd.v1.responses_service_pb2_grpc import ResponsesServiceAsyncStub


@dataclass
class Served:
    """A running server, and the ends of it that a test looks at."""

    server: Server
    model: ServedModel
    store: Store
    script: Script
    gate: Gate
    clock: Clock
    address: str
    stub: ResponsesServiceAsyncStub
    channel: grpc.aio.Channel

    def create(
        self, text: str = "hi", /, **fields: Any
    ) -> grpc.aio.UnaryStreamCall[CreateResponseRequest, ResponseEvent]:
        """Begins a call. `caller` (gRPC metadata) and `timeout` go to the call, the rest into the request."""
        caller, timeout = fields.pop("caller", None), fields.pop("timeout", WAIT)
        request = CreateResponseRequest(**fields)
        request.input.text = text
        return self.stub.CreateResponse(request, metadata=caller, timeout=timeout)

    async def answer(self, text: str = "hi", /, **fields: Any) -> Response:
        """The final state of a new response."""
        return final([event async for event in self.create(text, **fields)])


def final(events: list[ResponseEvent]) -> Response:
    """The response in the last event."""
    last = events[-1]
    response: Response = getattr(last, last.WhichOneof("event") or "").response
    return response


def names(events: list[ResponseEvent]) -> list[str]:
    return [event.WhichOneof("event") or "" for event in events]


def text_of(response: Response) -> str:
    return "".join(part.output_text.text for item in response.output for part in item.message.content)


async def read_until(call: AsyncIterable[ResponseEvent], name: str, times: int = 1) -> list[ResponseEvent]:
    """The events up to the so-many-th of this name; the call goes on."""
    events: list[ResponseEvent] = []
    async for event in call:
        events.append(event)
        times -= event.WhichOneof("event") == name
        if times == 0:
            break
    return events


@dataclass(frozen=True)
class Fault:
    """A refused call: its code, the ErrorInfo's reason, the message, and whether it says when to try again."""

    code: grpc.StatusCode
    reason: str
    message: str
    retry: bool


def fault_of(error: grpc.aio.AioRpcError) -> Fault:
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    info, retry = error_details_pb2.ErrorInfo(), False
    for detail in status.details:
        detail.Unpack(info)
        retry = retry or detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR)
    return Fault(error.code(), info.reason, error.details() or "", retry)


async def refusal(call: Any) -> Fault:
    """How a call is refused, before it has answered anything."""
    answers = anext(aiter(call)) if isinstance(call, grpc.aio.UnaryStreamCall) else call
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answers
    return fault_of(caught.value)


async def record_of(served: Served, id: str) -> Record:
    record = await served.store.get("local", id)
    assert record is not None
    return record


async def settled(served: Served) -> None:
    """Waits until no response runs and everything about them is stored."""
    assert await served.server.running.ended(within=WAIT)


def catalogue(
    specs: Sequence[ModelSpec],
    prepare: Prepare,
    *,
    memory: int = 2**40,
    queue: int = 8,
    patience: float = WAIT,
    steady: Callable[[], float] = time.monotonic,
) -> tuple[Models, list[ServedModel]]:
    """Models that are not loaded yet, and the list of those that were, which grows."""
    loaded: list[ServedModel] = []
    models = Models(
        specs,
        prepare,
        lambda title: lambda share: None,
        memory=memory,
        queue=queue,
        patience=patience,
        steady=steady,
        told=lambda served, _: loaded.append(served),
    )
    return models, loaded


@asynccontextmanager
async def bound_port(owner_of: Callable[[str | None], str | None] = lambda key: "local") -> AsyncIterator[Port]:
    port = bind("127.0.0.1:0", 2**20, [CallInterceptor(owner_of)])
    try:
        yield port
    finally:
        await port.server.stop(None)


@asynccontextmanager
async def serving(
    folder: Path,
    answers: Mapping[str, str],
    *,
    slots: int = 4,
    queue: int = 8,
    context: int = 512,
    default_max_output_tokens: int = 300,
    wrap: Callable[[Store], Store] = lambda store: store,
    owner_of: Callable[[str | None], str | None] = lambda key: "local",
    started: float = 1_700_000_000.0,
    reply: Reply | None = None,
    template: str = CHATML,
) -> AsyncIterator[Served]:
    """A server with a scripted model, open for requests. wrap: puts another store around the real one. reply: what the
    model says instead, token by token."""
    script, gate, clock = Script(answers), Gate(), Clock(started)
    runner = ScriptedRunner(slots, context, TOKENIZER.vocab_size, reply=reply or script, end_token=END, gate=gate)
    prepared = PreparedModel(0, lambda: scripted(runner, template=template))
    models, loaded = catalogue([a_spec(None, context, slots)], lambda spec, report: prepared, queue=queue)
    real_store = await open_store(f"sqlite:///{folder / 'responses.db'}", Bounds(), clock)
    store = wrap(real_store)
    async with bound_port(owner_of) as port:
        server = Server(port, store, default_max_output_tokens, now=clock, steady=clock, pause=clock.pause)
        await server.start()
        await models.start()
        await server.open(models)
        address = f"127.0.0.1:{port.number}"
        try:
            async with watched_channel(address) as channel:
                stub = ResponsesServiceStub(channel)
                yield Served(server, loaded[0], store, script, gate, clock, address, stub, channel)
        finally:
            gate.open()
            await server.stop(grace=0)
            await models.close()
            await real_store.close()
