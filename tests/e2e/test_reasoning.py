"""Thoughts, made by the real model under a grammar, as OpenAI's SDK and clients of Open Responses see them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import openai
import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import Start
from tests.support.replies import CheckedTransport
from tests.support.server import Server

THINKS = {
    "type": "lark",
    "value": 'start: "<think>" /[a-z ,]{20,60}/ "</think>\\n" /[A-Z][a-z ]{2,20}/',
}


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    http_client = httpx2.Client(transport=CheckedTransport())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


@pytest.mark.parametrize("temperature", [0, 1.5])
def test_thoughts_come_before_the_answer(sdk: openai.OpenAI, temperature: float) -> None:
    made = sdk.responses.create(
        input="Is 7 prime?", max_output_tokens=100, temperature=temperature, extra_body={"grammar": THINKS}
    )
    thought, message = made.output
    assert thought.type == "reasoning"
    assert thought.content
    assert 20 <= len(thought.content[0].text.strip()) <= 60
    assert message.type == "message"
    assert "<" not in made.output_text
    assert made.usage
    assert 0 < made.usage.output_tokens_details.reasoning_tokens < made.usage.output_tokens
    again = sdk.responses.create(
        input=[{"role": "user", "content": "Is 7 prime?"}, *made.output, {"role": "user", "content": "Sure?"}],  # type: ignore[list-item]
        max_output_tokens=16,
    )
    assert again.status in ("completed", "incomplete")


def test_a_stream_tells_thoughts_as_they_come(sdk: openai.OpenAI) -> None:
    thought = ""
    with sdk.responses.create(
        input="Is 7 prime?", max_output_tokens=100, stream=True, extra_body={"grammar": THINKS}
    ) as stream:
        for event in stream:
            if event.type == "response.reasoning_text.delta":
                thought += event.delta
            elif event.type == "response.completed":
                [item, _] = event.response.output
    assert item.type == "reasoning"
    assert item.content
    assert item.content[0].text == thought


def test_the_other_dialect_names_the_same_events_as_open_responses_does(start: Start) -> None:
    server = start(reasoning_events="openresponses")
    with Api(server.url) as api, api.stream(max_output_tokens=100, grammar=THINKS) as stream:
        events = stream.read_to_end().seen
    kinds = {event["type"] for event in events}
    assert {"response.reasoning.delta", "response.reasoning.done"} <= kinds
    assert not any(kind.startswith("response.reasoning_text") for kind in kinds)
