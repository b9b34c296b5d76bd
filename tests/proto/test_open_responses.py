"""Every element of the Open Responses schema has its place in the contract."""

import json
from importlib.resources import files
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from answerd.v1 import (
    compaction_pb2,
    content_pb2,
    create_response_pb2,
    event_pb2,
    include_pb2,
    item_pb2,
    logprob_pb2,
    reasoning_pb2,
    response_pb2,
    service_tier_pb2,
    text_pb2,
    tool_choice_pb2,
    tool_pb2,
    truncation_pb2,
    usage_pb2,
)

DOCUMENT = json.loads(files("openresponses").joinpath("openapi/2026-04-24.json").read_bytes())
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]

MESSAGES: dict[str, type[Message]] = {
    "CreateResponseBody": create_response_pb2.CreateResponseRequest,
    "ResponseResource": response_pb2.Response,
    "CompactResponseMethodPublicBody": compaction_pb2.CompactResponseRequest,
    "CompactResource": compaction_pb2.CompactedResponse,
    "UserMessageItemParam": item_pb2.MessageItem,
    "SystemMessageItemParam": item_pb2.MessageItem,
    "DeveloperMessageItemParam": item_pb2.MessageItem,
    "AssistantMessageItemParam": item_pb2.MessageItem,
    "Message": item_pb2.MessageItem,
    "FunctionCallItemParam": item_pb2.FunctionCallItem,
    "FunctionCall": item_pb2.FunctionCallItem,
    "FunctionCallOutputItemParam": item_pb2.FunctionCallOutputItem,
    "FunctionCallOutput": item_pb2.FunctionCallOutputItem,
    "ReasoningItemParam": item_pb2.ReasoningItem,
    "ReasoningBody": item_pb2.ReasoningItem,
    "ItemReferenceParam": item_pb2.ItemReference,
    "CompactionSummaryItemParam": item_pb2.CompactionItem,
    "CompactionBody": item_pb2.CompactionItem,
    "InputTextContentParam": content_pb2.InputText,
    "InputTextContent": content_pb2.InputText,
    "OutputTextContentParam": content_pb2.OutputText,
    "OutputTextContent": content_pb2.OutputText,
    "RefusalContentParam": content_pb2.Refusal,
    "RefusalContent": content_pb2.Refusal,
    "ReasoningTextContent": content_pb2.ReasoningText,
    "ReasoningSummaryContentParam": content_pb2.SummaryText,
    "SummaryTextContent": content_pb2.SummaryText,
    "TextContent": content_pb2.Text,
    "InputImageContentParamAutoParam": content_pb2.InputImage,
    "InputImageContent": content_pb2.InputImage,
    "InputFileContentParam": content_pb2.InputFile,
    "InputFileContent": content_pb2.InputFile,
    "InputVideoContent": content_pb2.InputVideo,
    "UrlCitationParam": content_pb2.UrlCitation,
    "UrlCitationBody": content_pb2.UrlCitation,
    "LogProb": logprob_pb2.LogProb,
    "TopLogProb": logprob_pb2.TopLogProb,
    "FunctionToolParam": tool_pb2.FunctionTool,
    "FunctionTool": tool_pb2.FunctionTool,
    "SpecificFunctionParam": tool_choice_pb2.FunctionToolChoice,
    "FunctionToolChoice": tool_choice_pb2.FunctionToolChoice,
    "AllowedToolsParam": tool_choice_pb2.AllowedTools,
    "AllowedToolChoice": tool_choice_pb2.AllowedTools,
    "TextParam": text_pb2.TextConfig,
    "TextField": text_pb2.TextConfig,
    "TextResponseFormat": text_pb2.PlainTextFormat,
    "JsonObjectResponseFormat": text_pb2.JsonObjectFormat,
    "JsonSchemaResponseFormatParam": text_pb2.JsonSchemaFormat,
    "JsonSchemaResponseFormat": text_pb2.JsonSchemaFormat,
    "ReasoningParam": reasoning_pb2.ReasoningConfig,
    "Reasoning": reasoning_pb2.ReasoningConfig,
    "IncompleteDetails": response_pb2.IncompleteDetails,
    "Error": response_pb2.ResponseError,
    "ErrorPayload": event_pb2.ErrorEvent,
    "Usage": usage_pb2.Usage,
    "InputTokensDetails": usage_pb2.InputTokensDetails,
    "OutputTokensDetails": usage_pb2.OutputTokensDetails,
}

# Objects of the HTTP transports, which the contract has no part in.
TRANSPORT = {"StreamOptionsParam", "WebSocketErrorEvent"}

# Keys without a field of their own: constants that the message's type says already, and what only concerns HTTP.
WITHOUT_FIELD: dict[str, set[str]] = {
    "CreateResponseBody": {"stream", "stream_options"},
    "ResponseResource": {"object"},
    "CompactResource": {"object"},
    "ErrorPayload": {"headers"},
}

ENUMS: dict[str, EnumDescriptor] = {
    "DetailEnum": content_pb2.ImageDetail.DESCRIPTOR,
    "ImageDetail": content_pb2.ImageDetail.DESCRIPTOR,
    "FunctionCallItemStatus": item_pb2.ItemStatus.DESCRIPTOR,
    "FunctionCallStatus": item_pb2.ItemStatus.DESCRIPTOR,
    "FunctionCallOutputStatusEnum": item_pb2.ItemStatus.DESCRIPTOR,
    "MessageStatus": item_pb2.ItemStatus.DESCRIPTOR,
    "MessageRole": item_pb2.Role.DESCRIPTOR,
    "IncludeEnum": include_pb2.Include.DESCRIPTOR,
    "ToolChoiceValueEnum": tool_choice_pb2.ToolChoiceMode.DESCRIPTOR,
    "VerbosityEnum": text_pb2.Verbosity.DESCRIPTOR,
    "ReasoningEffortEnum": reasoning_pb2.ReasoningEffort.DESCRIPTOR,
    "ReasoningSummaryEnum": reasoning_pb2.ReasoningSummary.DESCRIPTOR,
    "TruncationEnum": truncation_pb2.Truncation.DESCRIPTOR,
    "ServiceTierEnum": service_tier_pb2.ServiceTier.DESCRIPTOR,
}

UNIONS: dict[str, type[Message]] = {
    "ItemParam": item_pb2.Item,
    "ItemField": item_pb2.Item,
    "ResponsesToolParam": tool_pb2.Tool,
    "Tool": tool_pb2.Tool,
    "Annotation": content_pb2.Annotation,
    "TextFormatParam": text_pb2.TextFormat,
}

# One release of the schema names these events differently from the rest of the world.
EVENT_NAMES = {
    "response.reasoning.delta": "reasoning_text_delta",
    "response.reasoning.done": "reasoning_text_done",
}

EVENTS = sorted(name for name in SCHEMAS if name.endswith("StreamingEvent"))


def reference(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rsplit("/", 1)[-1]


def event_field(event_type: str) -> FieldDescriptor:
    name = EVENT_NAMES.get(event_type) or event_type.removeprefix("response.").replace(".", "_")
    return event_pb2.ResponseEvent.DESCRIPTOR.fields_by_name[name]


def names_of(enum: EnumDescriptor) -> set[str]:
    """The JSON values of an enum, as the convention in responses_service.proto makes them."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower() for value in enum.values if value.number}


def test_every_object_of_the_schema_is_compared() -> None:
    objects = {name for name, schema in SCHEMAS.items() if schema.get("properties")}
    assert objects == MESSAGES.keys() | set(EVENTS) | TRANSPORT


def test_every_enumeration_of_the_schema_is_compared() -> None:
    assert {name for name, schema in SCHEMAS.items() if "enum" in schema} == ENUMS.keys()


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_key_of_an_object_has_a_field(name: str) -> None:
    fields = {*MESSAGES[name].DESCRIPTOR.fields_by_name}
    assert SCHEMAS[name]["properties"].keys() - fields <= WITHOUT_FIELD.get(name, {"type"})


@pytest.mark.parametrize("name", sorted(WITHOUT_FIELD))
def test_no_exception_outlives_its_reason(name: str) -> None:
    fields = {*MESSAGES[name].DESCRIPTOR.fields_by_name}
    assert SCHEMAS[name]["properties"].keys() - fields == WITHOUT_FIELD[name]


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_every_value_of_an_enumeration_has_a_name(name: str) -> None:
    values = {value.replace(".", "_") for value in SCHEMAS[name]["enum"]}
    assert values <= names_of(ENUMS[name])


@pytest.mark.parametrize("name", sorted(UNIONS))
def test_every_variant_of_a_union_has_a_field_named_like_its_type(name: str) -> None:
    oneof = UNIONS[name].DESCRIPTOR.oneofs_by_name["type"]
    variants = {field.name: field.message_type for field in oneof.fields}
    for variant in map(reference, SCHEMAS[name]["oneOf"]):
        (kind,) = kind_of(SCHEMAS[variant])
        assert variants[kind] is MESSAGES[variant].DESCRIPTOR


def kind_of(schema: dict[str, Any]) -> list[str]:
    declared = schema["properties"]["type"]
    found: list[str] = next((entry["enum"] for entry in [declared, *declared.get("anyOf", [])] if "enum" in entry), [])
    return found


def test_every_content_part_has_a_field_named_like_its_type() -> None:
    parts = {field.name: field.message_type for field in content_pb2.ContentPart.DESCRIPTOR.fields}
    kinds = {kind: name for name in MESSAGES if "Content" in name for kind in kind_of(SCHEMAS[name])}
    assert {kind: MESSAGES[name].DESCRIPTOR for kind, name in kinds.items()} == parts


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_a_field_and_its_keys_have_fields(name: str) -> None:
    (event_type,) = kind_of(SCHEMAS[name])
    payload: Descriptor | None = event_field(event_type).message_type
    assert payload is not None
    keys = SCHEMAS[name]["properties"].keys() - {"type", "sequence_number", "obfuscation"}
    # An error's keys stand under `error` in the schema; the message is that inner object.
    expected = keys if event_type != "error" else {"type", "code", "message", "param"}
    assert expected <= {*payload.fields_by_name}


def test_there_is_no_event_that_the_schema_lacks() -> None:
    types = [kind for name in EVENTS for kind in kind_of(SCHEMAS[name])]
    fields = {field.name for field in event_pb2.ResponseEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert {event_field(event_type).name for event_type in types} == fields


def test_no_event_reuses_a_shape_that_says_something_else() -> None:
    """Only the six states of a response share a message, so every other event can grow by itself."""
    payloads = {
        field.name: field.message_type.name
        for field in event_pb2.ResponseEvent.DESCRIPTOR.oneofs_by_name["event"].fields
        if field.message_type is not None
    }
    shared = [name for name, payload in payloads.items() if payload == "ResponseSnapshot"]
    assert shared == ["created", "queued", "in_progress", "completed", "incomplete", "failed"]
    others = [payload for name, payload in payloads.items() if name not in shared]
    assert len(others) == len(set(others))
