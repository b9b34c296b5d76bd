"""Functions that the real model calls, as OpenAI's SDK and gRPC clients use them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema
import openai
import pytest
from openai.types.responses import FunctionToolParam, ResponseInputParam

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import FunctionCallOutputItem, FunctionOutput, Item
from answerd.v1.tool_choice_pb2 import ToolChoice, ToolChoiceMode
from answerd.v1.tool_pb2 import FunctionTool, Tool
from tests.e2e.rpc import Rpc
from tests.support.replies import CheckedTransport
from tests.support.server import Server

ADD: FunctionToolParam = {
    "type": "function",
    "name": "add",
    "description": "Adds two numbers.",
    "parameters": {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
    "strict": True,
}
WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "unit": {"enum": ["celsius", "kelvin"]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 7}, "maxItems": 3},
    },
    "required": ["city", "unit"],
}


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    http_client = httpx2.Client(transport=CheckedTransport())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


def test_an_agent_runs_to_its_end(sdk: openai.OpenAI) -> None:
    """A call is made, run and answered; then the model says something. The whole history is sent."""
    conversation: ResponseInputParam = [{"role": "user", "content": "What is 17 plus 25?"}]
    called = sdk.responses.create(
        input=conversation, tools=[ADD], tool_choice="required", parallel_tool_calls=False, temperature=0
    )
    assert called.status == "completed"
    [call] = called.output
    assert call.type == "function_call"
    arguments = json.loads(call.arguments)
    conversation += [
        call.to_dict(),  # type: ignore[list-item]
        {"type": "function_call_output", "call_id": call.call_id, "output": str(arguments["a"] + arguments["b"])},
    ]
    answered = sdk.responses.create(
        input=conversation, tools=[ADD], tool_choice="none", temperature=0, max_output_tokens=40
    )
    assert answered.output_text
    follow_up = sdk.responses.create(
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "42"}],
        previous_response_id=called.id,
        max_output_tokens=16,
    )
    assert follow_up.previous_response_id == called.id


def test_the_stream_helper_builds_the_call(sdk: openai.OpenAI) -> None:
    choice: Any = {"type": "function", "name": "add"}
    deltas = ""
    with sdk.responses.stream(
        model="default", input="Add 2 and 3.", tools=[ADD], tool_choice=choice, temperature=1.5
    ) as stream:
        for event in stream:
            if event.type == "response.function_call_arguments.delta":
                deltas += event.delta
        final = stream.get_final_response()
    [call] = final.output
    assert call.type == "function_call"
    assert call.arguments == deltas
    assert set(json.loads(deltas)) == {"a", "b"}


@pytest.mark.parametrize("temperature", [0, 1, 2])
def test_required_calls_are_valid_at_any_temperature(sdk: openai.OpenAI, temperature: float) -> None:
    tools: Any = [ADD, {"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    made = sdk.responses.create(
        input="Weather in Oslo?",
        tools=tools,
        tool_choice="required",
        temperature=temperature,
        max_output_tokens=1000,
        extra_body={"max_tool_calls": 2},
    )
    assert made.status == "completed"
    schemas = {"add": ADD["parameters"], "weather": WEATHER}
    for call in made.output:
        assert call.type == "function_call"
        jsonschema.validate(json.loads(call.arguments), schemas[call.name] or {})
    assert [tool.to_dict()["name"] for tool in made.tools] == ["add", "weather"]


def test_the_loop_over_grpc_is_typed(rpc: Rpc) -> None:
    tool = Tool(function=FunctionTool(name="add", parameters=json.dumps(ADD["parameters"])))
    choice = ToolChoice(mode=ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED)
    request = CreateResponseRequest(
        input=Input(text="Add 2 and 3."), tools=[tool], tool_choice=choice, parallel_tool_calls=False
    )
    *_, last = rpc.stub.CreateResponse(request)
    [item] = last.completed.response.output
    assert item.function_call.name == "add"
    output = FunctionCallOutputItem(call_id=item.function_call.call_id, output=FunctionOutput(text="5"))
    request = CreateResponseRequest(
        input=Input(items=ItemList(items=[Item(function_call_output=output)])),
        previous_response_id=last.completed.response.id,
        max_output_tokens=16,
    )
    *_, last = rpc.stub.CreateResponse(request)
    assert last.WhichOneof("event") in ("completed", "incomplete")
