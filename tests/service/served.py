"""A real gRPC server, engine and store in this process, around a scripted model, and what its tests need beside it."""

from __future__ import annotations

import threading
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
from inference.chat import ChatTemplate
from inference.fakes import Reply, ScriptedRunner
from inference.model import GraphNames, ModelConfig, ModelDirectory
from inference.options import EngineOptions
from inference.tokenizer import Tokenizer
from service.interceptors import CallInterceptor
from service.models.catalogue import Models
from service.models.loading import LoadedModel, Prepare, PreparedModel
from service.models.served import ServedModel
from service.models.spec import ModelSpec
from service.server import Port, Server, bind
from service.store import Bounds, Store, open_store
from tests.inference.tiny_tokenizer import tiny_tokenizer

if TYPE_CHECKING:  # a name of the stubs only
    from answerd.v1.responses_service_pb2_grpc import ResponsesServiceAsyncStub

WAIT = 20.0  # seconds until a test that waits for nothing fails
MODEL = "scripted"
ONE_BY_ONE = EngineOptions(speculation=False)  # scripts repeat themselves, and tests count their calls
BEGIN, END = 1, 2  # the control tokens around a turn
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOKENIZER = Tokenizer(tiny_tokenizer())
TOKEN_BYTES = TOKENIZER.token_bytes()


def scripted(runner: ScriptedRunner, name: str = MODEL, template: str = CHATML, memory: int = 0) -> LoadedModel:
    """A model of this tokenizer that was loaded. memory: bytes that it says it takes."""
    config = ModelConfig(
        name=name,
        type="llama",
        vocab_size=TOKENIZER.vocab_size,
        context_length=runner.max_length,
        num_layers=1,
        num_heads=1,
        num_kv_heads=1,
        head_size=1,
        hidden_size=1,
        eos_token_id=END,
        eos_token_ids=frozenset({END}),
        graph=GraphNames("model.onnx", {}, {}),
        created=1_600_000_000,
    )
    directory = ModelDirectory(Path(name), config, TOKENIZER, ChatTemplate(template))
    return LoadedModel(directory, runner, TOKEN_BYTES, "a script (for tests)", memory, ONE_BY_ONE)


def a_spec(name: str | None = None, context: int = 512, slots: int = 4, at_start: bool = False) -> ModelSpec:
    return ModelSpec(name, None, "auto", context, slots, at_start, "ANSWERD_MODEL")


def encode(text: str) -> tuple[int, ...]:
    return TOKENIZER.encode([(text, False)])


def decode(tokens: tuple[int, ...]) -> str:
    return b"".join(TOKEN_BYTES[token] for token in tokens).decode()


class Script:
    """Answers by the last user message; `prompts` are the texts of all prompts, in the order they were first seen."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = {f"user\n{question}": encode(answer) for question, answer in answers.items()}
        self._known: dict[tuple[int, ...], tuple[int, ...]] = {}
        self.prompts: list[str] = []

    def __call__(self, prompt: tuple[int, ...]) -> tuple[int, ...]:
        if prompt not in self._known:
            self.prompts.append(decode(prompt))
            # What the model was asked last: the turn before the one that begins the answer.
            begins = [place for place, token in enumerate(prompt) if token == BEGIN]
            question = decode(prompt[begins[-2] : begins[-1]]).rstrip("\n")
            self._known[prompt] = self._answers.get(question, encode("?"))
        return self._known[prompt]


class Gate:
    """Holds the engine's thread before a call of the runner, or makes the call fail.

    `hold_after(n)` lets n more decode calls through, `open` all of them. `fail` is asked before each call.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits: int | None = None
        self.fail: Callable[[str], bool] = lambda name: False

    def hold_after(self, decodes: int) -> None:
        self._set(decodes)

    def open(self) -> None:
        self._set(None)

    def __call__(self, name: str, number: int) -> None:
        if self.fail(name):
            raise RuntimeError("the test made this call fail")
        if name != "decode":
            return
        with self._changed:
            assert self._changed.wait_for(lambda: self._permits != 0, WAIT), "the test forgot to open the gate"
            if self._permits is not None:
                self._permits -= 1

    def _set(self, permits: int | None) -> None:
        with self._changed:
            self._permits = permits
            self._changed.notify_all()


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


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

    def create(self, text: str = "hi", **fields: Any) -> grpc.aio.UnaryStreamCall[CreateResponseRequest, ResponseEvent]:
        """Begins a call. `caller` (gRPC metadata) and `timeout` go to the call, the rest into the request."""
        caller, timeout = fields.pop("caller", None), fields.pop("timeout", WAIT)
        request = CreateResponseRequest(**fields)
        request.input.text = text
        return self.stub.CreateResponse(request, metadata=caller, timeout=timeout)

    async def answer(self, text: str = "hi", **fields: Any) -> Response:
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
) -> AsyncIterator[Served]:
    """A server with a scripted model, open for requests. wrap: puts another store around the real one. reply: what the
    model says instead, token by token."""
    script, gate, clock = Script(answers), Gate(), Clock(started)
    runner = ScriptedRunner(slots, context, TOKENIZER.vocab_size, reply=reply or script, end_token=END, gate=gate)
    prepared = PreparedModel(0, lambda: scripted(runner))
    models, loaded = catalogue([a_spec(None, context, slots)], lambda spec, report: prepared, queue=queue)
    real_store = await open_store(f"sqlite:///{folder / 'responses.db'}", Bounds(), clock)
    store = wrap(real_store)
    async with bound_port(owner_of) as port:
        server = Server(port, store, default_max_output_tokens, now=clock, steady=clock)
        await server.start()
        await models.start()
        await server.open(models)
        address = f"127.0.0.1:{port.number}"
        try:
            async with grpc.aio.insecure_channel(address) as channel:
                stub = ResponsesServiceStub(channel)
                yield Served(server, loaded[0], store, script, gate, clock, address, stub, channel)
        finally:
            gate.open()
            await server.stop(grace=0)
            await models.close()
            await real_store.close()
