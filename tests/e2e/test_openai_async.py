"""Every method of `responses` in OpenAI's Python SDK, asynchronous: what its users do, with a scripted model.

The blocking client does the same with the real one, in test_openai_sdk.py and its neighbours.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Literal

import httpx2
import openai
import pytest
from openai.resources.responses import AsyncResponses, Responses
from openai.types.responses import FunctionToolParam, ResponseInputParam, ResponseStreamEvent
from pydantic import BaseModel

from tests.support.replies import CheckedAsyncTransport
from tests.support.stack import Stack, running_stack

MODEL = "scripted"
ANSWERS = {
    "hi": "hello",
    "person": '{"name": "Ada", "age": 36}',
    "weather?": '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "<tool_response>\nIt rains in Oslo.\n</tool_response>": "Take a coat.",
    "endless": "x" * 50_000,
}


class Person(BaseModel):
    name: str
    age: int


class Place(BaseModel):
    city: Literal["Oslo", "Rome"]


WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "description": "The weather of a city.",
    "parameters": {**Place.model_json_schema(), "additionalProperties": False},
    "strict": True,
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, ANSWERS, context=60_000, default_max_output_tokens=50_000) as stack:
        yield stack


@pytest.fixture
async def responses(stack: Stack) -> AsyncIterator[AsyncResponses]:
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    url = f"{stack.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, http_client=http_client) as client:
        yield client.responses


async def test_create(responses: AsyncResponses) -> None:
    made = await responses.create(model=MODEL, input="hi", metadata={"note": "n"})
    assert (made.status, made.output_text, made.metadata) == ("completed", "hello", {"note": "n"})
    events = [event async for event in await responses.create(model=MODEL, input="hi", stream=True)]
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")


async def test_stream(responses: AsyncResponses) -> None:
    async with responses.stream(model=MODEL, input="hi") as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        assert (await stream.get_final_response()).output_text == text == "hello"


async def test_stream_takes_up_a_stored_response(responses: AsyncResponses) -> None:
    made = await responses.create(model=MODEL, input="hi", background=True)
    async with responses.stream(response_id=made.id) as stream:
        assert (await stream.get_final_response()).output_text == "hello"


async def test_parse(responses: AsyncResponses) -> None:
    made = await responses.parse(model=MODEL, input="person", text_format=Person)
    assert made.output_parsed == Person(name="Ada", age=36)


async def test_retrieve(responses: AsyncResponses) -> None:
    events: list[ResponseStreamEvent] = []
    async for event in await responses.create(model=MODEL, input="hi", stream=True, background=True):
        events.append(event)
    assert events[0].type == "response.created"
    id = events[0].response.id
    rest = await responses.retrieve(id, stream=True, starting_after=events[3].sequence_number)
    assert [event async for event in rest] == events[4:]
    assert (await responses.retrieve(id)).output_text == "hello"


async def test_cancel(responses: AsyncResponses) -> None:
    made = await responses.create(model=MODEL, input="endless", background=True)
    assert made.status in ("queued", "in_progress")
    assert (await responses.cancel(made.id)).status == "cancelled"
    events = [event async for event in await responses.retrieve(made.id, stream=True)]
    assert events[-1].type == "response.incomplete"
    assert events[-1].response.status == "cancelled"


async def test_delete(responses: AsyncResponses) -> None:
    made = await responses.create(model=MODEL, input="hi")
    await responses.delete(made.id)
    with pytest.raises(openai.NotFoundError, match=made.id):
        await responses.retrieve(made.id)


async def test_input_items(responses: AsyncResponses) -> None:
    words = ["one", "two", "three"]
    made = await responses.create(model=MODEL, input=[{"role": "user", "content": word} for word in words])
    listed = [item.to_dict() async for item in responses.input_items.list(made.id, limit=2, order="asc")]
    assert [item["content"][0]["text"] for item in listed] == words  # type: ignore[index] # JSON


async def test_input_tokens(responses: AsyncResponses) -> None:
    counted = await responses.input_tokens.count(model=MODEL, input="hi")
    made = await responses.create(model=MODEL, input="hi")
    assert made.usage is not None
    assert counted.input_tokens == made.usage.input_tokens


async def test_compact(responses: AsyncResponses) -> None:
    made = await responses.create(model=MODEL, input="hi")
    compacted = await responses.with_raw_response.compact(model=MODEL, previous_response_id=made.id)
    # As it came: the SDK's class for it knows no messages of the user, and warns of them when it writes them.
    window = json.loads(compacted.text)["output"]
    again = await responses.create(model=MODEL, input=[*window, {"role": "user", "content": "hi"}])
    assert again.output_text == "hello"


async def test_an_agent_calls_its_tool_and_runs_to_its_end(responses: AsyncResponses) -> None:
    turn = await responses.create(model=MODEL, input="weather?", tools=[WEATHER])
    called: list[str] = []
    while calls := [item for item in turn.output if item.type == "function_call"]:
        outputs: ResponseInputParam = []
        for call in calls:
            called.append(call.name)
            city = Place.model_validate_json(call.arguments).city
            words = f"It rains in {city}."
            outputs.append({"type": "function_call_output", "call_id": call.call_id, "output": words})
        turn = await responses.create(model=MODEL, input=outputs, tools=[WEATHER], previous_response_id=turn.id)
    assert called == ["weather"]
    assert turn.output_text == "Take a coat."


@pytest.mark.parametrize("made", [Responses, AsyncResponses])
def test_every_method_of_the_sdk_is_used_here_or_beside(made: Callable[..., object]) -> None:
    """A method that a new version of the SDK gains needs a test. Over WebSocket: test_websocket_sdk.py."""
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    methods = [name for name in dir(made) if not name.startswith(("_", "with_"))]
    assert [name for name in methods if not re.search(rf"\bresponses\.(with_raw_response\.)?{name}\b", tests)] == []
