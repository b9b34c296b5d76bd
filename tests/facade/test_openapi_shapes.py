"""The objects of the OpenAPI document have the keys of the contract's messages, and what is written fits them.

A shape stands in the contract, in this document, and for events, responses and items in the schema of Open Responses:
tests/proto/test_open_responses.py compares the first with the third.
"""

from typing import Any, Literal, get_args

import orjson
import pytest
from google.protobuf.message import Message
from jsonschema import Draft202012Validator, ValidationError

from answerd.v1 import (
    compaction_pb2,
    content_pb2,
    event_pb2,
    input_items_pb2,
    item_pb2,
    logprob_pb2,
    model_pb2,
    reasoning_pb2,
    response_pb2,
    text_pb2,
    tool_choice_pb2,
    tool_pb2,
    usage_pb2,
)
from answerd.v1.event_pb2 import ResponseEvent
from facade.documents import openapi_document
from facade.events import OPEN_RESPONSES_TYPES, TYPES, EventWriter
from facade.shapes import shape_of
from facade.unsupported import PARTS
from facade.writer import write_message, write_response
from tests.facade import scripts
from tests.support.openresponses import SCHEMAS as OPEN_RESPONSES
from tests.support.sse import parse_frame

Dialect = Literal["openai", "openresponses"]
SCHEMAS: dict[str, Any] = openapi_document()["components"]["schemas"]
# The message of each object, and the keys that it has besides its fields.
MESSAGES: dict[str, tuple[type[Message], set[str]]] = {
    "Response": (response_pb2.Response, {"object", "output_text"}),
    "Usage": (usage_pb2.Usage, set()),
    "Message": (item_pb2.MessageItem, {"type"}),
    "FunctionCall": (item_pb2.FunctionCallItem, {"type"}),
    "FunctionCallOutput": (item_pb2.FunctionCallOutputItem, {"type"}),
    "Reasoning": (item_pb2.ReasoningItem, {"type"}),
    "Compaction": (item_pb2.CompactionItem, {"type"}),
    "MessageParam": (item_pb2.MessageItem, {"type"}),
    "FunctionCallParam": (item_pb2.FunctionCallItem, {"type"}),
    "FunctionCallOutputParam": (item_pb2.FunctionCallOutputItem, {"type"}),
    "ReasoningParam": (item_pb2.ReasoningItem, {"type"}),
    "ItemReference": (item_pb2.ItemReference, {"type"}),
    "CompactionParam": (item_pb2.CompactionItem, {"type"}),
    "InputText": (content_pb2.InputText, {"type"}),
    "OutputText": (content_pb2.OutputText, {"type"}),
    "Refusal": (content_pb2.Refusal, {"type"}),
    "ReasoningText": (content_pb2.ReasoningText, {"type"}),
    "SummaryText": (content_pb2.SummaryText, {"type"}),
    "UrlCitation": (content_pb2.UrlCitation, {"type"}),
    "LogProb": (logprob_pb2.LogProb, set()),
    "TopLogProb": (logprob_pb2.TopLogProb, set()),
    "FunctionTool": (tool_pb2.FunctionTool, {"type"}),
    "FunctionChoice": (tool_choice_pb2.FunctionToolChoice, {"type"}),
    "AllowedTools": (tool_choice_pb2.AllowedTools, {"type"}),
    "AllowedToolsParam": (tool_choice_pb2.AllowedTools, {"type"}),
    "TextConfig": (text_pb2.TextConfig, set()),
    "TextConfigParam": (text_pb2.TextConfig, set()),
    "JsonSchemaFormat": (text_pb2.JsonSchemaFormat, {"type"}),
    "ReasoningConfig": (reasoning_pb2.ReasoningConfig, set()),
    "ReasoningConfigParam": (reasoning_pb2.ReasoningConfig, set(PARTS["ReasoningConfig"])),
    "InputItemList": (input_items_pb2.ListInputItemsResponse, {"object"}),
    "CompactedResponse": (compaction_pb2.CompactedResponse, {"object"}),
    "Model": (model_pb2.Model, {"object"}),
    "ErrorEvent": (event_pb2.ErrorEvent, {"sequence_number", "error"}),
}
FIELD_OF = {name: field for field, name in (*TYPES.items(), *OPEN_RESPONSES_TYPES.items())}
EVENTS = [variant["$ref"].rpartition("/")[2] for variant in SCHEMAS["ResponseEvent"]["oneOf"]]


def kinds(schema: dict[str, Any]) -> list[str]:
    declared = schema["properties"]["type"]
    return [declared["const"]] if "const" in declared else declared["enum"]


def check(name: str, value: Any) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": openapi_document()["components"]}
    Draft202012Validator(schema).validate(value)


@pytest.mark.parametrize("name", MESSAGES)
def test_an_object_has_the_keys_of_its_message(name: str) -> None:
    message, beside = MESSAGES[name]
    assert SCHEMAS[name]["properties"].keys() == set(shape_of(message.DESCRIPTOR).fields) | beside


def test_every_event_is_described_once() -> None:
    described = [kind for name in EVENTS for kind in kinds(SCHEMAS[name])]
    assert sorted(described) == sorted(FIELD_OF)


@pytest.mark.parametrize("name", [name for name in EVENTS if name != "ErrorEvent"])
def test_an_event_has_the_keys_of_its_message_and_all_are_required(name: str) -> None:
    for kind in kinds(SCHEMAS[name]):
        payload = ResponseEvent.DESCRIPTOR.fields_by_name[FIELD_OF[kind]].message_type
        assert payload is not None
        keys = {"type", "sequence_number", *payload.fields_by_name}
        assert set(SCHEMAS[name]["required"]) == SCHEMAS[name]["properties"].keys() == keys


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Response", "ResponseResource"),
        ("Message", "Message"),
        ("FunctionCall", "FunctionCall"),
        ("FunctionCallOutput", "FunctionCallOutput"),
        ("Reasoning", "ReasoningBody"),
        ("Compaction", "CompactionBody"),
        ("OutputText", "OutputTextContent"),
        ("FunctionTool", "FunctionTool"),
        ("AllowedTools", "AllowedToolChoice"),
        ("ReasoningConfig", "Reasoning"),
        ("LogProb", "LogProb"),
        ("CompactedResponse", "CompactResource"),
    ],
)
def test_what_open_responses_requires_is_required(ours: str, theirs: str) -> None:
    assert set(SCHEMAS[ours]["required"]) >= set(OPEN_RESPONSES[theirs]["required"])


@pytest.mark.parametrize("dialect", get_args(Dialect))
def test_the_events_that_are_written_are_as_described(dialect: Dialect) -> None:
    played = [scripts.text("Hel", "lo"), scripts.cut("x"), scripts.failed("model_error", "x"), scripts.reasoning("Hm.")]
    writer = EventWriter(dialect)
    for event in [event for script in [*played, scripts.function_call("{}")] for event in script]:
        check("ResponseEvent", parse_frame(writer.frame(event).decode().removesuffix("\n\n")))


NAMED = tool_choice_pb2.FunctionToolChoice(name="f")
SOME = tool_choice_pb2.AllowedTools(tools=[NAMED], mode=tool_choice_pb2.TOOL_CHOICE_MODE_REQUIRED)
SCHEMA = text_pb2.JsonSchemaFormat(name="s", schema='{"type":"object"}', strict=True)
ECHOES: list[dict[str, Any]] = [
    *({"tool_choice": tool_choice_pb2.ToolChoice(mode=mode)} for mode in tool_choice_pb2.ToolChoiceMode.values()[1:]),
    {"tool_choice": tool_choice_pb2.ToolChoice(function=NAMED)},
    {"tool_choice": tool_choice_pb2.ToolChoice(allowed_tools=SOME)},
    {"text": text_pb2.TextConfig(format=text_pb2.TextFormat(json_object=text_pb2.JsonObjectFormat()))},
    {"text": text_pb2.TextConfig(format=text_pb2.TextFormat(json_schema=SCHEMA), verbosity=text_pb2.VERBOSITY_LOW)},
    {"reasoning": reasoning_pb2.ReasoningConfig()},
    {"reasoning": reasoning_pb2.ReasoningConfig(effort=reasoning_pb2.REASONING_EFFORT_XHIGH)},
]


def written(**fields: Any) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads(orjson.dumps(write_response(scripts.response(**fields))))
    return value


@pytest.mark.parametrize("fields", ECHOES, ids=lambda fields: str(fields).replace("\n", " ")[:60])
def test_what_a_request_says_is_repeated_as_described(fields: dict[str, Any]) -> None:
    tool = tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f", parameters="{}"))
    check("Response", written(tools=[tool], **fields))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tool_choice", "perhaps"),
        ("tool_choice", None),
        ("tool_choice", {"type": "function"}),
        ("tool_choice", {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}]}),
        ("text", {}),
        ("text", {"format": {"type": "json_schema", "name": "s", "schema": {}, "strict": True}}),
        ("text", {"format": {"type": "text"}, "verbosity": None}),
        ("reasoning", {}),
        ("reasoning", {"effort": "max", "summary": None}),
        ("tools", [{"type": "function", "name": "f"}]),
        ("incomplete_details", {}),
        ("error", {"code": "server_error"}),
    ],
)
def test_a_response_with_something_else_is_not_as_described(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        check("Response", {**written(), key: value})


def test_items_of_every_kind_are_as_described() -> None:
    compaction = item_pb2.CompactionItem(id="cmp_1", encrypted_content="x")
    output = item_pb2.FunctionCallOutputItem(id="fco_1", status=scripts.COMPLETED, call_id="call_1")
    output.output.text = "sunny"
    for item in (
        scripts.message("Hi"),
        scripts.call_item("{}", scripts.COMPLETED),
        scripts.reasoning_item("Hm.", scripts.COMPLETED),
        item_pb2.Item(compaction=compaction),
        item_pb2.Item(function_call_output=output),
    ):
        check("InputItem", orjson.loads(orjson.dumps(write_message(item))))
