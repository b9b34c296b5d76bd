"""Several models behind the calls: who answers, what a chain across them looks like, and who waits for what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest
from answerd.v1.response_pb2 import Response
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceStub
from service.server import Server
from service.store import Bounds, open_store
from tests.service.models.conftest import Shelf
from tests.service.scripted_model import WAIT, a_spec
from tests.service.served import bound_port, catalogue, fault_of, final, refusal, text_of
from tests.support.watched_channel import watched_channel


class Client:
    """Calls of a server of the models a and b."""

    def __init__(self, channel: grpc.aio.Channel, server: Server) -> None:
        self.stub, self.server = ResponsesServiceStub(channel), server

    def create(self, text: str = "hi", timeout: float = WAIT, **fields: Any) -> Any:
        request = CreateResponseRequest(**fields)
        request.input.text = text
        return self.stub.CreateResponse(request, timeout=timeout)

    async def answer(self, text: str = "hi", **fields: Any) -> Response:
        return final([event async for event in self.create(text, **fields)])


@asynccontextmanager
async def two(folder: Path, shelf: Shelf, **options: Any) -> AsyncIterator[Client]:
    """options: what `catalogue` takes."""
    models, _ = catalogue([a_spec("a"), a_spec("b")], shelf, **options)
    store = await open_store(f"sqlite:///{folder / 'responses.db'}", Bounds())
    async with bound_port() as port:
        server = Server(port, store, 100)
        await server.start()
        await models.start()
        await server.open(models)
        try:
            async with watched_channel(f"127.0.0.1:{port.number}") as channel:
                yield Client(channel, server)
        finally:
            shelf.let_go()
            await server.stop(grace=0)
            await models.close()
            await store.close()


async def test_each_model_answers_under_its_name(tmp_path: Path, shelf: Shelf) -> None:
    async with two(tmp_path, shelf) as client:
        for asked, answers in (("a", "a"), ("b", "b"), ("default", "a"), ("", "a")):
            response = await client.answer(model=asked)
            assert (response.model, text_of(response)) == (answers, answers)
        refused = await refusal(client.create(model="c"))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")


async def test_all_models_are_listed_with_whether_they_are_loaded(tmp_path: Path, shelf: Shelf) -> None:
    async with two(tmp_path, shelf) as client:
        listed = (await client.stub.ListModels(ListModelsRequest(), timeout=WAIT)).data
        assert [(model.id, model.loaded) for model in listed] == [("a", True), ("b", False)]
        # Looking at it does not load it.
        shown = await client.stub.GetModel(GetModelRequest(id="b"), timeout=WAIT)
        assert (shown.loaded, shown.context_length, shown.created > 0) == (False, 512, True)
        await client.answer(model="b")
        shown = await client.stub.GetModel(GetModelRequest(id="b"), timeout=WAIT)
        assert (shown.loaded, shown.context_length, shown.created) == (True, 512, 1_600_000_000)


async def test_a_chain_goes_on_with_another_model_and_its_template(tmp_path: Path, shelf: Shelf) -> None:
    async with two(tmp_path, shelf, memory=10) as client:  # and one of them in memory at a time
        first = await client.answer("hi", model="a")
        second = await client.answer("hello", model="b", previous_response_id=first.id)
        third = await client.answer("bye", model="a", previous_response_id=second.id)
        assert [text_of(response) for response in (first, second, third)] == ["a", "b", "a"]
        history = "user\nhi\nassistant\na\nuser\nhello\nassistant\nb\nuser\nbye\n"
        assert shelf.prompts[-1] == f"{history}assistant a\n"
        assert "user\nhi\nassistant\na\nuser\nhello\nassistant b\n" in shelf.prompts


async def test_a_request_waits_for_its_model_until_its_deadline(tmp_path: Path, shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with two(tmp_path, shelf) as client:
        waiting = asyncio.create_task(client.answer(model="b"))
        await shelf.until_loading("b")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.answer(model="b", timeout=0.2)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert text_of(await client.answer(model="a")) == "a"
        shelf.let_go()
        assert text_of(await waiting) == "b"


async def test_a_model_that_cannot_be_loaded_is_told_and_nothing_is_stored(tmp_path: Path, shelf: Shelf) -> None:
    shelf.broken.add("b")
    async with two(tmp_path, shelf) as client:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await client.answer(model="b")
        fault = fault_of(caught.value)
        assert (fault.code, fault.reason) == (grpc.StatusCode.INTERNAL, "MODEL_ERROR")
        assert fault.message == "The model 'b' could not be loaded; the server's log says why."
        assert text_of(await client.answer(model="a")) == "a"


async def test_who_waits_for_a_model_when_the_server_stops_is_told_to_come_back(tmp_path: Path, shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with two(tmp_path, shelf) as client:
        waiting = asyncio.create_task(refusal(client.create(model="b")))
        await shelf.until_loading("b")
        stopping = asyncio.create_task(client.server.stop(grace=0))
        fault = await waiting
        await stopping
    assert (fault.code, fault.reason, fault.retry) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", True)


async def test_requests_of_both_models_run_at_once_under_a_bound_for_both(tmp_path: Path, shelf: Shelf) -> None:
    async with two(tmp_path, shelf, memory=20) as client:
        asked = ["a", "b"] * 10
        answers = await asyncio.gather(*(client.answer(f"question {n}", model=name) for n, name in enumerate(asked)))
        assert [text_of(answer) for answer in answers] == asked
        assert shelf.loads == ["a", "b"]


async def test_requests_that_alternate_under_a_bound_for_one_are_all_answered(tmp_path: Path, shelf: Shelf) -> None:
    async with two(tmp_path, shelf, memory=10) as client:
        asked = ["a", "b", "b", "a"] * 3
        answers = await asyncio.gather(*(client.answer(f"question {n}", model=name) for n, name in enumerate(asked)))
        assert [text_of(answer) for answer in answers] == asked
