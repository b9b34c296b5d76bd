"""WebSockets on a real server: what is not stored goes on as what is stored would, and who leaves is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.e2e.api import STORY, Api
from tests.e2e.conftest import Start
from tests.e2e.stored import statuses
from tests.e2e.test_leaving import MINUTES, PROMPTLY, answer_after_leaving
from tests.support.replies import CheckedReply
from tests.support.server import Server
from tests.support.talk import Talk

Connect = Callable[..., Awaitable[Talk]]
SHORT: dict[str, Any] = {"temperature": 0, "max_output_tokens": 16}
UNSTORED = {**SHORT, "store": False}
ADD = {
    "type": "function",
    "name": "add",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
}


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Opens WebSockets to servers."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(response_class=CheckedReply))

        async def open(server: Server, **options: Any) -> Talk:
            return Talk(await stack.enter_async_context(http.ws_connect(f"{server.url}/v1/responses", **options)))

        yield open


def end_of(events: list[dict[str, Any]]) -> dict[str, Any]:
    response: dict[str, Any] = events[-1]["response"]
    return response


def heard(response: dict[str, Any]) -> tuple[Any, ...]:
    """What a turn said, and what it was said to."""
    said = [part["text"] for item in response["output"] for part in item["content"]]
    return response["usage"]["input_tokens"], response["usage"]["output_tokens"], said


@pytest.mark.parametrize("first", [{"instructions": "Speak like a pirate."}, {"n_choices": 2, "seed": 1}])
async def test_a_conversation_that_is_not_stored_goes_on_as_if_it_were(
    first: dict[str, Any], server: Server, connect: Connect
) -> None:
    """Turn by turn the prompts have as many tokens, and the answers are the same."""
    talk, turns = await connect(server), ["My name is Zebulon.", "What is my name?", "Spell it."]
    for store in (True, False):
        told, last = [], None
        for question in turns:
            more = first if last is None else {}
            events = await talk.ask({**SHORT, **more}, input=question, previous_response_id=last, store=store)
            told.append(heard(end_of(events)))
            last = end_of(events)["id"]
        if store:
            expected = told
    assert told == expected
    assert [turn[0] for turn in told] == sorted(turn[0] for turn in told)
    with Api(server.url) as api:
        assert api.http.get(f"/v1/responses/{last}").status_code == 404


async def test_a_stored_response_is_continued_unstored_and_stored_again(server: Server, connect: Connect) -> None:
    talk = await connect(server)
    with Api(server.url) as api:
        first = api.create(input="My name is Zebulon.")
        second = end_of(await talk.ask(SHORT, input="Say it.", previous_response_id=first["id"]))
        third = end_of(await talk.ask(UNSTORED, input="Again.", previous_response_id=second["id"]))
        fourth = end_of(await talk.ask(SHORT, input="And again.", previous_response_id=third["id"]))
        assert [turn["previous_response_id"] for turn in (second, third, fourth)] == [
            first["id"],
            second["id"],
            third["id"],
        ]
        assert api.get(fourth["id"]) | {"output_text": None} == fourth | {"output_text": None}
        listed = api.http.get(f"/v1/responses/{fourth['id']}/input_items", params={"order": "asc"}).json()["data"]
        assert [item["role"] for item in listed] == ["user", "assistant", "user"]
        # Whatever was not stored, the conversation is whole for those who come after.
        stored = api.create(input="Go on.", previous_response_id=fourth["id"])
    assert stored["usage"]["input_tokens"] > fourth["usage"]["input_tokens"] > third["usage"]["input_tokens"]


async def test_only_the_connection_of_an_unstored_response_continues_it(server: Server, connect: Connect) -> None:
    talk, other = await connect(server), await connect(server)
    made = end_of(await talk.ask(UNSTORED, input="Hello!"))
    for store in (True, False):
        body = {**SHORT, "input": "Go on.", "previous_response_id": made["id"], "store": store}
        assert (await other.refusal(body))[1] == "previous_response_not_found"
    with Api(server.url) as api:
        assert api.refused(previous_response_id=made["id"]).json()["error"]["code"] == "previous_response_not_found"
    assert (await talk.ask(UNSTORED, input="Go on.", previous_response_id=made["id"]))[-1]["response"]["output"]


async def test_a_continuation_that_fails_is_not_repeated(server: Server, connect: Connect) -> None:
    talk = await connect(server)
    made = end_of(await talk.ask(UNSTORED, input="Hello!"))
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "x"}]
    picture = [{"role": "user", "content": parts}]
    assert await talk.refusal(UNSTORED, input=picture, previous_response_id=made["id"]) == (
        400,
        "unsupported_content",
        "input[0].content[1]",
    )
    retried = await talk.refusal(UNSTORED, input="Go on.", previous_response_id=made["id"])
    assert retried == (400, "previous_response_not_found", "previous_response_id")


async def test_a_call_is_answered_on_the_connection(server: Server, connect: Connect) -> None:
    talk = await connect(server)
    called = end_of(
        await talk.ask(
            input="What is 17 plus 25?", tools=[ADD], tool_choice="required", parallel_tool_calls=False, store=False
        )
    )
    [call] = called["output"]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "42"}
    body = {**UNSTORED, "tools": [ADD], "tool_choice": "none", "previous_response_id": called["id"]}
    answered = end_of(await talk.ask(body, input=[output]))
    assert [item["type"] for item in answered["output"]] == ["message"]
    question = {"role": "user", "content": "What is 17 plus 25?"}
    whole = {"input": [question, call, output], "tools": [ADD], "tool_choice": "none"}
    with Api(server.url) as api:
        counted = api.http.post("/v1/responses/input_tokens", json=whole).json()
    assert answered["usage"]["input_tokens"] == counted["input_tokens"]
    orphan = {**output, "call_id": "call_other"}
    refused = await talk.refusal({**body, "previous_response_id": answered["id"]}, input=[orphan])
    assert refused == (400, "tool_call_not_found", "input")


async def test_what_was_compacted_is_the_next_input(server: Server, connect: Connect) -> None:
    talk = await connect(server)
    with Api(server.url) as api:
        conversation = [{"role": "user", "content": "My name is Ada, and I have two cats."}]
        body = {"model": "default", "input": conversation}
        compacted = api.http.post("/v1/responses/compact", json=body).json()
    window = [*compacted["output"], {"role": "user", "content": "How many cats?"}]
    made = end_of(await talk.ask(UNSTORED, input=window, previous_response_id=None))
    follow = end_of(await talk.ask(UNSTORED, input="Sure?", previous_response_id=made["id"]))
    assert follow["usage"]["input_tokens"] > made["usage"]["input_tokens"]


async def test_connections_run_side_by_side(server: Server, connect: Connect) -> None:
    talks = [await connect(server) for _ in range(4)]
    answers = await asyncio.gather(*(talk.ask(UNSTORED, input=f"Count to {n}.") for n, talk in enumerate(talks)))
    assert len({end_of(events)["id"] for events in answers}) == 4


@pytest.mark.parametrize("way", ["close", "abort"])
async def test_a_client_that_leaves_frees_the_slot(way: str, narrow: Server, connect: Connect) -> None:
    talk = await connect(narrow)
    await talk.send(input=STORY, temperature=0, max_output_tokens=MINUTES)
    created = await talk.hear_one()
    while (await talk.hear_one())["type"] != "response.output_text.delta":
        pass
    if way == "close":
        await talk.socket.close()
    else:
        talk.abort()
    with Api(narrow.url) as api:
        assert await asyncio.to_thread(answer_after_leaving, api) < PROMPTLY
        left = api.get(created["response"]["id"])
    assert (left["status"], left["usage"]["output_tokens"] < MINUTES) == ("cancelled", True)


async def test_a_server_that_stops_ends_what_runs_and_says_goodbye(start: Start, connect: Connect) -> None:
    server = start()
    talk, idle = await connect(server), await connect(server)
    await talk.send(SHORT, input=STORY, max_output_tokens=40)
    await talk.send(SHORT, input="And this?")
    begin = [await talk.hear_one()]
    while begin[-1]["type"] != "response.output_text.delta":
        begin.append(await talk.hear_one())
    server.terminate()
    ended = (await talk.hear(begin))[-1]["response"]
    assert (ended["status"], ended["usage"]["output_tokens"]) == ("incomplete", 40)
    assert [await talk.end(), await idle.end()] == [1001, 1001]
    assert await asyncio.to_thread(server.wait) == 0
    assert statuses(server.store_path) == {ended["id"]: "incomplete"}
