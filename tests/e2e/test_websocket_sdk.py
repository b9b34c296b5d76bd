"""OpenAI's own Python SDK over a WebSocket, sync and async: typed events, turns in a row, errors that end nothing."""

from __future__ import annotations

import json
from collections.abc import Callable

import openai
from openai.resources.responses.responses import AsyncResponsesConnection, ResponsesConnection
from openai.types.responses import Response, ResponsesServerEvent

from tests.support.replies import check_whole_stream

MODEL = "SmolLM2-135M-Instruct"
ENDS = ("response.completed", "response.incomplete", "response.failed")
CAPITAL = "Answer with one word: what is the capital of France?"


def answer(connection: ResponsesConnection) -> tuple[str, Response]:
    """The text and the response of one turn, its events checked as they came."""
    raw, event = [], None
    while event is None or event.type not in ENDS:
        raw.append(connection.recv_bytes())
        event = connection.parse_event(raw[-1])
    return checked(raw, connection.parse_event)


async def answer_async(connection: AsyncResponsesConnection) -> tuple[str, Response]:
    raw, event = [], None
    while event is None or event.type not in ENDS:
        raw.append(await connection.recv_bytes())
        event = connection.parse_event(raw[-1])
    return checked(raw, connection.parse_event)


def checked(raw: list[bytes], parse: Callable[[bytes], ResponsesServerEvent]) -> tuple[str, Response]:
    check_whole_stream([json.loads(message) for message in raw])
    events = [parse(message) for message in raw]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    return text, last.response


def test_turns_follow_each_other(sdk: openai.OpenAI) -> None:
    with sdk.responses.connect() as connection:
        connection.response.create(model=MODEL, input=CAPITAL, temperature=0, max_output_tokens=32, store=False)
        text, first = answer(connection)
        assert "Paris" in text
        assert first.output_text == text
        connection.response.create(
            model=MODEL,
            input="And of Italy?",
            previous_response_id=first.id,
            temperature=0,
            max_output_tokens=32,
            store=False,
        )
        _, second = answer(connection)
    assert second.previous_response_id == first.id
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens


def test_an_error_is_an_event_and_the_connection_stays(sdk: openai.OpenAI) -> None:
    with sdk.responses.connect() as connection:
        connection.response.create(model="other", input="Hello!")
        refused = connection.recv()
        assert refused.type == "error"
        assert refused.to_dict()["status"] == 404
        connection.response.create(model=MODEL, input="Hello!", max_output_tokens=4)
        _, made = answer(connection)
    assert sdk.responses.retrieve(made.id).id == made.id


async def test_turns_follow_each_other_async(async_sdk: openai.AsyncOpenAI) -> None:
    async with async_sdk.responses.connect() as connection:
        await connection.response.create(model=MODEL, input=CAPITAL, temperature=0, max_output_tokens=32, store=False)
        text, first = await answer_async(connection)
        assert "Paris" in text
        await connection.response.create(
            model=MODEL, input="And?", previous_response_id=first.id, max_output_tokens=8, store=False
        )
        _, second = await answer_async(connection)
    assert second.previous_response_id == first.id
