"""Calls of functions over gRPC: made by a script, or by a model that has an opinion on every token."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import FunctionCallItem, FunctionCallOutputItem, FunctionOutput, Item, ItemStatus
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from answerd.v1.text_pb2 import JsonObjectFormat, TextConfig, TextFormat
from answerd.v1.tool_choice_pb2 import AllowedTools, FunctionToolChoice, ToolChoice, ToolChoiceMode
from answerd.v1.tool_pb2 import FunctionTool, Tool
from tests.service.scripted_model import WAIT, encode
from tests.service.served import Served, final, names, refusal, serving, text_of

WEATHER = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}
DAYS = {"type": "object", "properties": {"days": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["days"]}
OSLO = '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
ROME = OSLO.replace("Oslo", "Rome")
ANSWERS = {
    "one": OSLO,
    "two": f"Let me look.\n{OSLO}\n{ROME}",
    "three": f"{OSLO}\n{ROME}\n{OSLO}",
    "unknown": OSLO.replace("weather", "climate"),
    "tagged": "A <tool_call> is a tag.",
    "wrong": OSLO.replace("Oslo", "Bonn"),
    "thinks": f"<think>{ROME}</think>\n\n{OSLO}",
    "plain": "Hello!",
}
REQUIRED = ToolChoiceMode.TOOL_CHOICE_MODE_REQUIRED


def tool(name: str, schema: object = None, *, strict: bool | None = None) -> Tool:
    parameters = None if schema is None else json.dumps(schema)
    return Tool(function=FunctionTool(name=name, parameters=parameters, strict=strict))


TOOLS = [tool("weather", WEATHER), tool("forecast", DAYS), tool("now")]


def allowed(*names: str, mode: ToolChoiceMode.ValueType = ToolChoiceMode.TOOL_CHOICE_MODE_AUTO) -> ToolChoice:
    tools = [FunctionToolChoice(name=name) for name in names]
    return ToolChoice(allowed_tools=AllowedTools(tools=tools, mode=mode))


def calls_of(response: Response) -> list[tuple[str, Any]]:
    calls = [item.function_call for item in response.output if item.HasField("function_call")]
    return [(call.name, json.loads(call.arguments)) for call in calls]


def kinds_of(response: Response) -> list[str]:
    return [item.WhichOneof("type") or "" for item in response.output]


def arguments_told(events: Sequence[ResponseEvent]) -> list[str]:
    return [event.function_call_arguments_delta.delta for event in events]


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, ANSWERS, context=2000) as served:
        yield served


@pytest.fixture
async def whimsical(tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose model would say anything."""
    async with serving(tmp_path, {}, reply=lambda prompt: None, context=2000) as served:
        yield served


async def test_a_call_has_its_events_and_is_an_ordinary_completion(calling: Served) -> None:
    events = [event async for event in calling.create("one", tools=TOOLS)]
    kinds = list(dict.fromkeys(names(events)))
    assert kinds == [
        *("created", "in_progress", "output_item_added", "function_call_arguments_delta"),
        *("function_call_arguments_done", "output_item_done", "completed"),
    ]
    response = final(events)
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert calls_of(response) == [("weather", {"city": "Oslo"})]
    assert "".join(arguments_told(events)) == '{"city": "Oslo"}'
    call = response.output[0].function_call
    assert (call.id[:3], call.call_id[:5], call.status) == ("fc_", "call_", ItemStatus.ITEM_STATUS_COMPLETED)
    assert len(call.call_id) <= 64


async def test_arguments_are_streamed_as_they_are_made(calling: Served) -> None:
    calling.gate.hold_after(len(encode(OSLO)) - len(encode('"Oslo"}}\n</tool_call>')))
    call = calling.create("one", tools=TOOLS)
    told = ""
    async for event in call:
        told += event.function_call_arguments_delta.delta
        if told.startswith('{"city"'):
            break
    assert "Oslo" not in told
    calling.gate.open()
    assert names([event async for event in call])[-1] == "completed"


async def test_words_before_calls_have_an_item_of_their_own_and_calls_follow_each_other(calling: Served) -> None:
    response = await calling.answer("two", tools=TOOLS)
    assert kinds_of(response) == ["message", "function_call", "function_call"]
    assert text_of(response) == "Let me look."
    assert calls_of(response) == [("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})]


@pytest.mark.parametrize("fields", [{"parallel_tool_calls": False}, {"max_tool_calls": 1}])
async def test_at_most_so_many_calls_are_made(calling: Served, fields: dict[str, Any]) -> None:
    response = await calling.answer("two", tools=TOOLS, **fields)
    assert kinds_of(response) == ["message", "function_call"]
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED


@pytest.mark.parametrize("choice", [None, ToolChoice(mode=REQUIRED)])
async def test_of_more_calls_than_are_allowed_the_first_are_made(calling: Served, choice: ToolChoice | None) -> None:
    for most in (1, 2, 3):
        response = await calling.answer("three", tools=TOOLS, tool_choice=choice, max_tool_calls=most)
        assert [arguments["city"] for _, arguments in calls_of(response)] == ["Oslo", "Rome", "Oslo"][:most]
        assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED


async def test_without_tools_and_with_none_a_call_is_text(calling: Served) -> None:
    none = ToolChoice(mode=ToolChoiceMode.TOOL_CHOICE_MODE_NONE)
    assert text_of(await calling.answer("one")) == OSLO
    assert text_of(await calling.answer("one", tools=TOOLS, tool_choice=none)) == OSLO
    assert "weather" not in calling.script.prompts[-1], "what cannot be called is not told"


async def test_of_long_tools_the_model_is_told_whole(tmp_path: Path) -> None:
    """They are put together on another thread."""
    described = Tool(
        function=FunctionTool(name="weather", description="Sunny. " * 2500, parameters=json.dumps(WEATHER))
    )
    async with serving(tmp_path, ANSWERS, context=20_000) as served:
        assert calls_of(await served.answer("one", tools=[described])) == [("weather", {"city": "Oslo"})]
        assert described.function.description in served.script.prompts[-1]


async def test_a_thought_may_speak_of_calls(calling: Served) -> None:
    response = await calling.answer("thinks", tools=TOOLS)
    assert kinds_of(response) == ["reasoning", "function_call"]
    assert calls_of(response) == [("weather", {"city": "Oslo"})]


@pytest.mark.parametrize("question", ["unknown", "wrong", "tagged"])
async def test_once_begun_a_call_is_valid_whatever_the_model_wants(calling: Served, question: str) -> None:
    """The script goes on with what is forbidden there, so the model has to choose among the rest."""
    response = await calling.answer(question, tools=TOOLS, temperature=1, max_output_tokens=200, max_tool_calls=1)
    [(name, arguments)] = calls_of(response)
    assert name in ("weather", "forecast", "now")
    assert set(arguments) == {"weather": {"city"}, "forecast": {"days"}, "now": set()}[name]


@pytest.mark.parametrize("strict", [None, False, True])
@pytest.mark.parametrize("temperature", [0, 2])
@pytest.mark.parametrize(
    ("choice", "possible"),
    [
        (ToolChoice(mode=REQUIRED), {"weather", "forecast", "now"}),
        (ToolChoice(function=FunctionToolChoice(name="forecast")), {"forecast"}),
        (allowed("weather", "now", mode=REQUIRED), {"weather", "now"}),
    ],
)
async def test_required_and_named_calls_are_made_and_valid(
    whimsical: Served, temperature: float, choice: ToolChoice, possible: set[str], strict: bool | None
) -> None:
    tools = [tool("weather", WEATHER, strict=strict), tool("forecast", DAYS, strict=strict), tool("now", strict=strict)]
    response = await whimsical.answer(
        tools=tools, tool_choice=choice, temperature=temperature, seed=1, max_output_tokens=900, max_tool_calls=3
    )
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert set(kinds_of(response)) == {"function_call"}
    for name, arguments in calls_of(response):
        assert name in possible
        match name:
            case "weather":
                assert arguments["city"] in ("Oslo", "Rome")
            case "forecast":
                assert 1 <= arguments["days"] <= 9
            case _:
                assert arguments == {}


async def test_a_named_function_is_called_once(whimsical: Served) -> None:
    choice = ToolChoice(function=FunctionToolChoice(name="now"))
    for seed in range(5):
        response = await whimsical.answer(tools=TOOLS, tool_choice=choice, temperature=2, seed=seed)
        assert calls_of(response) == [("now", {})]


async def test_allowed_tools_are_a_hard_limit_while_all_stay_in_the_prompt(calling: Served) -> None:
    response = await calling.answer("one", tools=TOOLS, tool_choice=allowed("now"), max_tool_calls=1)
    assert calls_of(response) == [("now", {})]
    assert all(name in calling.script.prompts[-1] for name in ("weather", "forecast", "now"))
    assert response.tool_choice.allowed_tools.mode == ToolChoiceMode.TOOL_CHOICE_MODE_AUTO
    assert [each.function.name for each in response.tools] == ["weather", "forecast", "now"]


async def test_a_call_that_is_cut_off_is_incomplete(calling: Served) -> None:
    budget = len(encode(OSLO[: OSLO.index("slo")]))
    events = [event async for event in calling.create("one", tools=TOOLS, max_output_tokens=budget)]
    response = final(events)
    assert names(events)[-3:] == ["function_call_arguments_done", "output_item_done", "incomplete"]
    assert response.output[0].function_call.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert response.output[0].function_call.arguments == '{"city": "O'


async def test_of_a_call_that_is_cut_off_before_its_arguments_nothing_is_told(calling: Served) -> None:
    head = '<tool_call>\n{"name": "weat'
    alone = await calling.answer("one", tools=TOOLS, max_output_tokens=len(encode(head)))
    assert (kinds_of(alone), text_of(alone)) == (["message"], "")
    second = await calling.answer("three", tools=TOOLS, max_output_tokens=len(encode(f"{OSLO}\n{head}")))
    assert kinds_of(second) == ["function_call"]
    for response in (alone, second):
        assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS


async def test_a_form_of_the_text_leaves_the_choice_between_calls_and_the_form(calling: Served) -> None:
    text = TextConfig(format=TextFormat(json_object=JsonObjectFormat()))
    assert calls_of(await calling.answer("one", tools=TOOLS, text=text)) == [("weather", {"city": "Oslo"})]
    said = text_of(await calling.answer("plain", tools=TOOLS, text=text, temperature=1, seed=1, max_output_tokens=900))
    assert isinstance(json.loads(said), dict)


def output(call_id: str, text: str) -> Item:
    return Item(function_call_output=FunctionCallOutputItem(call_id=call_id, output=FunctionOutput(text=text)))


def items(*given: Item) -> Input:
    return Input(items=ItemList(items=given))


async def test_an_output_continues_the_response_that_made_the_call(calling: Served) -> None:
    first = await calling.answer("one", tools=TOOLS)
    request: dict[str, Any] = {"previous_response_id": first.id, "tools": TOOLS}
    outputs = items(output(first.output[0].function_call.call_id, "Snow."))
    call = calling.stub.CreateResponse(CreateResponseRequest(input=outputs, **request), timeout=WAIT)
    assert names([event async for event in call])[-1] == "completed"
    assert "<tool_response>\nSnow.\n</tool_response>" in calling.script.prompts[-1]
    assert OSLO in calling.script.prompts[-1]


async def test_an_output_without_its_call_is_refused(calling: Served) -> None:
    own_call = Item(function_call=FunctionCallItem(call_id="call_1", name="now", arguments="{}"))
    for given in (items(output("call_1", "x")), items(output("call_1", "x"), own_call)):
        refused = await refusal(calling.stub.CreateResponse(CreateResponseRequest(input=given), timeout=WAIT))
        assert refused.reason == "TOOL_CALL_NOT_FOUND"
        assert refused.message == "No tool call found for function call output with call_id 'call_1'."
    good = calling.stub.CreateResponse(
        CreateResponseRequest(input=items(own_call, output("call_1", "x"))), timeout=WAIT
    )
    assert names([event async for event in good])[-1] == "completed"


async def test_a_schema_that_cannot_be_enforced_is_named_where_it_has_to_be(calling: Served) -> None:
    vague = {"type": "object", "properties": {"a": {"type": "array", "uniqueItems": True}}}
    tools = [TOOLS[0], tool("vague", vague)]
    must = await refusal(calling.create("one", tools=tools, tool_choice=ToolChoice(mode=REQUIRED)))
    assert must.message.startswith("'tools[1].parameters' cannot be enforced")
    strict = await refusal(calling.create("one", tools=[TOOLS[0], tool("vague", vague, strict=True)]))
    assert strict.message.startswith("'tools[1].parameters' cannot be enforced")
    assert calls_of(await calling.answer("one", tools=tools)) == [("weather", {"city": "Oslo"})]
