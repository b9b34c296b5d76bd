"""OpenAI's own Python SDK on inputs: listed, counted, referred to, compacted and truncated by a real model."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import openai
import pytest

from tests.support.replies import CheckedTransport
from tests.support.server import Server

MODEL = "SmolLM2-135M-Instruct"


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    http_client = httpx2.Client(transport=CheckedTransport())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


def test_input_items_are_listed_page_after_page(sdk: openai.OpenAI) -> None:
    words = ["one", "two", "three", "four", "five"]
    made = sdk.responses.create(
        model=MODEL, input=[{"role": "user", "content": word} for word in words], max_output_tokens=1
    )
    listed = list(sdk.responses.input_items.list(made.id, limit=2, order="asc"))
    assert [item.to_dict()["content"][0]["text"] for item in listed] == words  # type: ignore[index] # JSON
    newest_first = [item.id for item in sdk.responses.input_items.list(made.id, limit=3)]
    assert newest_first == [item.id for item in reversed(listed)]
    with pytest.raises(openai.BadRequestError, match="msg_9"):
        sdk.responses.input_items.list(made.id, after="msg_9")


def test_the_count_is_what_a_response_uses(sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model=MODEL, input="Hello!", max_output_tokens=4)
    counted = sdk.responses.input_tokens.count(
        model=MODEL, input="And you?", instructions="Be brief.", previous_response_id=first.id
    )
    second = sdk.responses.create(
        model=MODEL,
        input="And you?",
        instructions="Be brief.",
        previous_response_id=first.id,
        max_output_tokens=1,
        truncation="auto",
    )
    assert second.usage is not None
    assert counted.input_tokens == second.usage.input_tokens
    assert second.truncation == "auto"


def test_an_item_of_a_response_is_sent_by_its_id_alone(sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model=MODEL, input="My name is Ada.", max_output_tokens=4)
    [question] = sdk.responses.input_items.list(first.id)
    assert question.id
    second = sdk.responses.create(
        model=MODEL,
        input=[{"type": "item_reference", "id": question.id}, {"role": "user", "content": "Who am I?"}],
        max_output_tokens=1,
    )
    assert {item.id for item in sdk.responses.input_items.list(second.id)} > {question.id}
    sdk.responses.delete(first.id)
    sdk.responses.delete(second.id)
    with pytest.raises(openai.NotFoundError, match=question.id):
        sdk.responses.create(model=MODEL, input=[{"type": "item_reference", "id": question.id}])


def test_a_compacted_conversation_goes_on(sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model=MODEL, input="My name is Ada and I live in Oslo.", max_output_tokens=16)
    made = sdk.responses.with_raw_response.compact(model=MODEL, previous_response_id=first.id)
    assert [item.type for item in made.parse().output] == ["message", "compaction"]
    assert made.parse().usage.output_tokens > 0
    # As it came: the SDK's class for it knows no messages of the user, and warns of them when it writes them.
    output = json.loads(made.text)["output"]
    second = sdk.responses.create(
        model=MODEL,
        input=[*output, {"role": "user", "content": "Hello again."}],
        max_output_tokens=4,
    )
    assert second.status in ("completed", "incomplete")
    sealed = output[1]["encrypted_content"]
    output[1]["encrypted_content"] = f"{sealed[:-8]}AAAAAAA="
    with pytest.raises(openai.BadRequestError, match="cannot be read"):
        sdk.responses.create(model=MODEL, input=output)
