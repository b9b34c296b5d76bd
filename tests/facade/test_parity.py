"""A stored response is told over SSE as it is over gRPC, event by event: fifty of them, of every kind.

What gRPC sends is put into JSON by the tests' own mapping, which shares nothing with the facade.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.stored_response_pb2 import StreamResponseRequest
from service.segments import pack
from service.store import Record
from tests.facade import scripts
from tests.facade.whole import Whole, whole
from tests.service.scripted_model import WAIT
from tests.service.served import final, read_until
from tests.support.event_json import event_json
from tests.support.sse import parse_frames

Body = dict[str, Any]
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "%s"}}\n</tool_call>'
ANSWERS = {
    "hi": "hello",
    "many": 'äöü, 你好, 🙂\n\ttabs \\ and "quotes"',
    "think": "<think>\nThey greet me.\n</think>\n\nHello!",
    "only think": "<think>Hm.</think>",
    "think long": f"<think>{'so ' * 9}</think>Yes.",
    "long": "x" * 40,
    "json": '{"name":"Ann","age":3}',
    "nothing": "",
    "call": f"I look.\n{CALL % 'Rome'}\n{CALL % 'Oslo'}",
    "endless": "x" * 200,
}
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "name": "weather", "description": "Looks.", "parameters": CITY, "strict": True}]
# Each with each: 8 texts in 5 ways.
WAYS: dict[str, Body] = {
    "plainly": {},
    "with logprobs": {"logprobs": True, "top_logprobs": 3},
    "in two choices": {"n_choices": 2},
    "cut": {"max_output_tokens": 3},
    "with settings": {
        "metadata": {"a": "b", "ü": "🙂"},
        "instructions": "Be brief.",
        "temperature": 0.1,
        "top_p": 0.9,
        "presence_penalty": -0.5,
        "max_output_tokens": 250,
        "max_tool_calls": 2,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low", "summary": "auto"},
        "truncation": "auto",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "auto",
    },
}
BODIES: dict[str, Body] = {
    **{f"{text}, {way}": {"input": text, **body} for text in [*ANSWERS][:8] for way, body in WAYS.items()},
    "a schema": {"input": "json", "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}},
    "any JSON": {"input": "json", "text": {"format": {"type": "json_object"}}},
    "calls": {"input": "call", "tools": TOOLS, "max_tool_calls": 2, "parallel_tool_calls": True},
    "a call that is cut off": {"input": "call", "tools": TOOLS, "tool_choice": "required", "max_output_tokens": 60},
    "in the background": {"input": "hi", "background": True},
    "four choices, cut, with logprobs": {"input": "think", "n_choices": 4, "max_output_tokens": 30, "logprobs": True},
}
# What no scripted model says: stored as a service would have.
WRITTEN: dict[str, list[ResponseEvent]] = {
    "thoughts alone": scripts.reasoning("Hm", "."),
}
FAILED, CANCELLED, CONTINUED = "failed", "cancelled", "continued"


@pytest.fixture
async def system(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[Whole]:
    async with whole(tmp_path, free_port, ANSWERS, slots=8, context=2048) as system:
        yield system


async def made(http: aiohttp.ClientSession, url: str, body: Body) -> str:
    async with http.post(f"{url}/v1/responses", json=body) as reply:
        assert reply.status == 200, await reply.text()
        return str((await reply.json())["id"])


async def written(system: Whole, number: int, events: list[ResponseEvent]) -> str:
    """Puts a response of these events into the store; its id."""
    id = f"resp_written{number}"
    for event in events:
        if event.WhichOneof("event") in ("created", "in_progress", "completed"):
            getattr(event, event.WhichOneof("event") or "").response.id = id
    store, response = system.served.store, final(events)
    await store.create(Record(id, "local", 1_700_000_000, b""), pack(events[:-1]))
    assert await store.finish(id, "completed", response.SerializeToString())
    return id


async def failed(system: Whole) -> str:
    system.served.gate.fail = lambda name: name == "decode"
    response = await system.served.answer("endless", n_choices=2)
    system.served.gate.fail = lambda name: False
    return response.id


async def cancelled(http: aiohttp.ClientSession, system: Whole) -> str:
    """One that was cancelled after its first words: meanwhile the engine makes one step at a time."""
    gate, stub = system.served.gate, system.served.stub
    gate.hold_after(5)
    id = await made(http, system.url, {"input": "endless", "background": True})
    await read_until(stub.StreamResponse(StreamResponseRequest(id=id), timeout=WAIT), "output_text_delta")
    cancelling = asyncio.create_task(http.post(f"{system.url}/v1/responses/{id}/cancel"))
    while not cancelling.done():
        gate.hold_after(1)
        await asyncio.wait([cancelling], timeout=0.01)
    gate.open()
    async with await cancelling as reply:
        assert (await reply.json())["status"] == "cancelled"
    return id


async def all_made(http: aiohttp.ClientSession, system: Whole) -> dict[str, str]:
    """The ids of all responses, by what they are."""
    ids = {name: await made(http, system.url, body) for name, body in BODIES.items()}
    ids |= {name: await written(system, number, events) for number, (name, events) in enumerate(WRITTEN.items())}
    ids[CONTINUED] = await made(http, system.url, {"input": "hi", "previous_response_id": ids["hi, plainly"]})
    ids[FAILED] = await failed(system)
    ids[CANCELLED] = await cancelled(http, system)
    return ids


async def over_sse(http: aiohttp.ClientSession, url: str, id: str, after: int | None) -> list[Body]:
    query = "" if after is None else f"&starting_after={after}"
    async with http.get(f"{url}/v1/responses/{id}?stream=true{query}") as reply:
        assert reply.status == 200
        return parse_frames(await reply.read())


async def over_grpc(system: Whole, id: str, after: int | None) -> list[Body]:
    request = StreamResponseRequest(id=id, starting_after=after)
    return [event_json(event) async for event in system.served.stub.StreamResponse(request, timeout=WAIT)]


async def test_fifty_stored_responses_are_told_alike_over_both(system: Whole, http: aiohttp.ClientSession) -> None:
    ids = await all_made(http, system)
    assert len(ids) == 50
    ends, kinds = set(), set()
    for name, id in ids.items():
        told = await over_grpc(system, id, None)
        assert await over_sse(http, system.url, id, None) == told, name
        middle = len(told) // 2
        assert await over_sse(http, system.url, id, middle) == await over_grpc(system, id, middle) == told[middle + 1 :]
        ends.add(told[-1]["response"]["status"])
        kinds |= {event["type"] for event in told}
    assert ends == {"completed", "incomplete", "failed", "cancelled"}
    assert {"error", "response.queued", "response.reasoning_text.delta"} <= kinds
    assert {"response.output_text.delta", "response.function_call_arguments.done"} <= kinds
