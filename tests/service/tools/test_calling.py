"""Which functions may be called, how often, with which arguments, and how the model is told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.item_pb2 import Item
from answerd.v1.tool_pb2 import FunctionTool
from service.errors import Reason, ServiceError
from service.tools.calling import MOST_CALLS, arguments_schema, calling_of
from service.tools.outputs import check_outputs
from service.tools.telling import told_functions, with_preamble

TOOLS = [{"function": {"name": name}} for name in "abc"]
ALL = ("a", "b", "c")
CALL = {"functionCall": {"callId": "call_1", "name": "a", "arguments": "{}"}}
OUTPUT = {"functionCallOutput": {"callId": "call_1", "output": {"text": "x"}}}


def request(**fields: Any) -> CreateResponseRequest:
    return ParseDict({"tools": TOOLS, **fields}, CreateResponseRequest())


def some(mode: str) -> dict[str, Any]:
    tools = [{"name": "c"}, {"name": "a"}]
    return {"toolChoice": {"allowedTools": {"tools": tools, "mode": f"TOOL_CHOICE_MODE_{mode}"}}}


@pytest.mark.parametrize(
    ("fields", "names", "must", "most"),
    [
        ({}, ALL, False, MOST_CALLS),
        ({"toolChoice": {"mode": "TOOL_CHOICE_MODE_AUTO"}}, ALL, False, MOST_CALLS),
        ({"toolChoice": {"mode": "TOOL_CHOICE_MODE_REQUIRED"}, "maxToolCalls": "3"}, ALL, True, 3),
        ({"maxToolCalls": "1000000"}, ALL, False, MOST_CALLS),
        ({"maxToolCalls": "3", "parallelToolCalls": False}, ALL, False, 1),
        ({"toolChoice": {"function": {"name": "b"}}, "maxToolCalls": "3"}, ("b",), True, 1),
        (some("AUTO"), ("a", "c"), False, MOST_CALLS),
        (some("UNSPECIFIED"), ("a", "c"), False, MOST_CALLS),
        (some("REQUIRED"), ("a", "c"), True, MOST_CALLS),
    ],
)
def test_the_choice_says_which_functions_may_be_called(
    fields: dict[str, Any], names: tuple[str, ...], must: bool, most: int
) -> None:
    calling = calling_of(request(**fields))
    assert calling is not None
    assert (calling.names, calling.must, calling.most) == (names, must, most)
    assert [function.name for function in told_functions(request(**fields))] == [*ALL]


@pytest.mark.parametrize("fields", [{"tools": []}, {"toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}}])
def test_nothing_is_called_without_tools_or_with_none(fields: dict[str, Any]) -> None:
    assert calling_of(request(**fields)) is None
    assert told_functions(request(**fields)) == []


@pytest.mark.parametrize(
    ("parameters", "closed"),
    [
        ({"properties": {"a": {}}}, True),
        ({"type": "object", "properties": {}}, True),
        ({"properties": {"a": {}}, "additionalProperties": True}, False),
        ({"properties": {"a": {}}, "patternProperties": {"x": {}}}, False),
        ({"properties": {"a": {}}, "allOf": [{"properties": {"b": {}}}]}, False),
        ({"type": "object"}, False),
    ],
)
def test_properties_that_are_not_listed_are_left_out_where_the_schema_leaves_them_open(
    parameters: dict[str, Any], closed: bool
) -> None:
    schema = json.loads(arguments_schema(FunctionTool(name="f", parameters=json.dumps(parameters))))
    assert schema["type"] == "object"
    assert (schema.get("additionalProperties") is False) == closed


def test_a_function_without_parameters_takes_none() -> None:
    schema = json.loads(arguments_schema(FunctionTool(name="f")))
    assert (schema["properties"], schema["additionalProperties"]) == ({}, False)


def test_the_preamble_stands_behind_the_system_text_or_in_its_place() -> None:
    functions = [FunctionTool(name="f", description='Says "hé".', parameters='{"type": "object"}')]
    [alone, user] = with_preamble([{"role": "user", "content": "hi"}], functions)
    assert (alone["role"], user["content"]) == ("system", "hi")
    assert '"description": "Says \\"hé\\"."' in alone["content"]
    [behind] = with_preamble([{"role": "system", "content": "Be brief."}], functions)
    assert behind["content"].startswith("Be brief.\n\n# Tools\n")
    assert behind["content"].partition("# Tools")[2] == alone["content"].partition("# Tools")[2]


def parsed(*items: dict[str, Any]) -> list[Item]:
    return [ParseDict(item, Item()) for item in items]


@pytest.mark.parametrize("items", [[OUTPUT], [OUTPUT, CALL]])
def test_an_output_needs_its_call_before_it(items: list[dict[str, Any]]) -> None:
    with pytest.raises(ServiceError) as caught:
        check_outputs(parsed(*items))
    assert caught.value.reason is Reason.TOOL_CALL_NOT_FOUND


@pytest.mark.parametrize("items", [[CALL], [CALL, OUTPUT], [CALL, OUTPUT, OUTPUT], [{"compaction": {}}, OUTPUT]])
def test_calls_may_be_given_up_and_be_compacted(items: list[dict[str, Any]]) -> None:
    check_outputs(parsed(*items))
