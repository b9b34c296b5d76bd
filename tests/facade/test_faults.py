"""Faults behind the facade, as clients over HTTP meet them: one terminal event or a clean error, and nothing beside it
is harmed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from tests.facade import scripts
from tests.facade.conftest import StartFacade
from tests.facade.envelope import error_of
from tests.facade.fake_service import WAIT, FakeService
from tests.facade.whole import Whole
from tests.service.conftest import LONG
from tests.service.failing_store import FailingStore
from tests.support.replies import check_whole_stream
from tests.support.sse import parse_frames

Body = dict[str, Any]
TERMINAL = ("response.completed", "response.incomplete", "response.failed")
KEY = {"Idempotency-Key": "mine"}
# The operations that a request needs, and a request that does, given the id of a stored response.
REQUESTS: dict[str, Callable[[str], tuple[str, str, Body | None]]] = {
    "create": lambda id: ("POST", "", {"input": "hi"}),
    "find_key": lambda id: ("POST", "", {"input": "hi"}),
    "chain": lambda id: ("POST", "", {"input": "hi", "previous_response_id": id}),
    "find_item": lambda id: ("POST", "", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    "secret": lambda id: ("POST", "", {"input": [{"type": "compaction", "encrypted_content": "AA=="}]}),
    "get": lambda id: ("GET", f"/{id}", None),
    "replay": lambda id: ("GET", f"/{id}?stream=true", None),
    "delete": lambda id: ("DELETE", f"/{id}", None),
}


async def create(http: aiohttp.ClientSession, url: str, **body: Any) -> tuple[int, Body]:
    async with http.post(f"{url}/v1/responses", json={"input": "hi", **body}) as reply:
        return reply.status, await reply.json()


async def stream(http: aiohttp.ClientSession, url: str, **body: Any) -> list[Body]:
    async with http.post(f"{url}/v1/responses", json={"input": "hi", "stream": True, **body}) as reply:
        assert reply.status == 200
        return parse_frames(await reply.read())


@pytest.mark.parametrize("operation", REQUESTS)
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_store_that_fails_is_a_clean_error(
    harmed: tuple[Whole, FailingStore], http: aiohttp.ClientSession, operation: str, streamed: bool
) -> None:
    system, store = harmed
    _, before = await create(http, system.url)
    method, path, body = REQUESTS[operation](before["id"])
    if body is not None:
        body["stream"] = streamed
    with store.without(operation):
        async with http.request(method, f"{system.url}/v1/responses{path}", json=body, headers=KEY) as reply:
            assert (reply.status, (await error_of(reply))["code"]) == (503, "store_unavailable")
    async with http.get(f"{system.url}/v1/responses/{before['id']}") as reply:
        assert await reply.json() == before


async def test_a_last_write_that_fails_is_heard_although_the_text_was_streamed(
    harmed: tuple[Whole, FailingStore], http: aiohttp.ClientSession
) -> None:
    system, store = harmed
    with store.without("finish"):
        events = await stream(http, system.url)
        status, body = await create(http, system.url)
    check_whole_stream(events)
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-2]["code"] == "store_unavailable"
    assert (status, body["error"]["code"]) == (503, "store_unavailable")
    assert (body["response"]["status"], body["response"]["output_text"]) == ("failed", "hello")


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_model_that_fails_ends_one_response_and_not_the_one_beside_it(
    harmed: tuple[Whole, FailingStore], http: aiohttp.ClientSession, streamed: bool
) -> None:
    system, _ = harmed
    gate = system.served.gate
    gate.hold_after(1)
    async with http.post(f"{system.url}/v1/responses", json={"input": "long", "stream": True}) as beside:
        first = b""
        while b"output_text.delta" not in first:  # its own prompt is read by then
            first += await beside.content.readuntil(b"\n\n")
        gate.fail = lambda name: name == "prefill"
        asked = asyncio.ensure_future((stream if streamed else create)(http, system.url))
        gate.open()
        ended: Any = await asked
        gate.fail = lambda name: False
        neighbour = parse_frames(first + await beside.read())
    if streamed:
        check_whole_stream(ended)
        failed = ended[-1]["response"]
        assert [event["type"] for event in ended if event["type"] in TERMINAL] == ["response.failed"]
    else:
        failed = ended[1]["response"]
        assert (ended[0], ended[1]["error"]["code"]) == (500, "model_error")
    async with http.get(f"{system.url}/v1/responses/{failed['id']}") as reply:
        assert (await reply.json())["status"] == "failed"
    check_whole_stream(neighbour)
    assert neighbour[-1]["response"]["output"][0]["content"][0]["text"] == LONG


SCRIPTS = (scripts.text("one", "two"), scripts.function_call('{"a"', ":1}"), scripts.reasoning("h", "m"))


@pytest.mark.parametrize("script", [script[:sent] for script in SCRIPTS for sent in range(1, len(script))], ids=len)
async def test_a_service_that_dies_after_any_event_leaves_a_stream_that_ends_in_order(
    service: FakeService, start_facade: StartFacade, http: aiohttp.ClientSession, script: list[ResponseEvent]
) -> None:
    url = await start_facade()
    service.script = [*script, WAIT]
    asked = asyncio.ensure_future(stream(http, url))
    await service.waiting.wait()
    await service.die()
    events = await asked
    check_whole_stream(events)
    assert [event["type"] for event in events if event["type"] in TERMINAL] == ["response.failed"]
    assert events[-2]["code"] == "unavailable"
    said = "".join(event.get("delta", "") for event in events)
    [item, *_] = events[-1]["response"]["output"] or [{"arguments": ""}]
    assert said == (item.get("arguments") or "".join(part["text"] for part in item.get("content", ())))
