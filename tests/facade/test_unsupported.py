"""What OpenAI's SDK can say in a request is known here: it has a place in the contract, or it is refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from google.protobuf.message import Message
from openai.resources.responses import InputTokens, Responses
from openai.types import responses as sdk
from openai.types.responses import (
    response_create_params,
    response_format_text_json_schema_config_param,
    response_includable,
    response_input_item_param,
)
from openai.types.shared_params import Reasoning

from answerd.v1 import compaction_pb2, content_pb2, input_tokens_pb2, item_pb2, text_pb2, tool_choice_pb2, tool_pb2
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.reasoning_pb2 import ReasoningConfig
from facade.create_request import COMPACT_HINTS, HTTP_KEYS
from facade.dialect import IGNORED
from facade.shapes import INCLUDE_VALUES, shape_of
from facade.unsupported import KEYS, PARTS, TYPES, Quiet, asks_for_nothing

# Arguments of the SDK's methods that are none of the body.
OF_THE_CLIENT = {"self", "extra_headers", "extra_query", "extra_body", "timeout"}
FORMAT = response_format_text_json_schema_config_param.ResponseFormatTextJSONSchemaConfigParam


@pytest.mark.parametrize(
    ("method", "message", "beside"),
    [
        (Responses.create, CreateResponseRequest, HTTP_KEYS),
        (Responses.compact, compaction_pb2.CompactResponseRequest, COMPACT_HINTS),
        (InputTokens.count, input_tokens_pb2.CountInputTokensRequest, {}),
    ],
)
def test_every_argument_of_the_sdk_is_known(method: Any, message: type[Message], beside: dict[str, Any]) -> None:
    said = inspect.signature(method).parameters.keys() - OF_THE_CLIENT
    assert said - shape_of(message.DESCRIPTOR).fields.keys() - beside.keys() - KEYS.keys() == set()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Reasoning, ReasoningConfig),
        (sdk.EasyInputMessageParam, item_pb2.MessageItem),
        (sdk.ResponseOutputMessageParam, item_pb2.MessageItem),
        (sdk.ResponseFunctionToolCallParam, item_pb2.FunctionCallItem),
        (response_input_item_param.FunctionCallOutput, item_pb2.FunctionCallOutputItem),
        (response_input_item_param.ItemReference, item_pb2.ItemReference),
        (sdk.ResponseReasoningItemParam, item_pb2.ReasoningItem),
        (sdk.ResponseCompactionItemParamParam, item_pb2.CompactionItem),
        (sdk.ResponseInputTextParam, content_pb2.InputText),
        (sdk.ResponseInputImageParam, content_pb2.InputImage),
        (sdk.ResponseInputFileParam, content_pb2.InputFile),
        (sdk.ResponseOutputTextParam, content_pb2.OutputText),
        (sdk.ResponseOutputRefusalParam, content_pb2.Refusal),
        (sdk.FunctionToolParam, tool_pb2.FunctionTool),
        (sdk.ToolChoiceFunctionParam, tool_choice_pb2.FunctionToolChoice),
        (sdk.ToolChoiceAllowedParam, tool_choice_pb2.AllowedTools),
        (sdk.ResponseTextConfigParam, text_pb2.TextConfig),
        (FORMAT, text_pb2.JsonSchemaFormat),
    ],
)
def test_every_key_within_is_known(said: type[Any], message: type[Message]) -> None:
    shape = shape_of(message.DESCRIPTOR)
    known = {"type", *shape.fields, *IGNORED.get(shape.name, ()), *PARTS.get(shape.name, ())}
    assert get_type_hints(said).keys() - known == set()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (response_input_item_param.ResponseInputItemParam, item_pb2.Item),
        (response_create_params.ToolChoice, tool_choice_pb2.ToolChoice),
    ],
)
def test_every_type_is_known(said: object, message: type[Message]) -> None:
    fields = set(shape_of(message.DESCRIPTOR).fields)
    modes = {"auto", "none", "required"}
    assert set(types_of(said)) - fields - modes == TYPES[message.DESCRIPTOR.name]


def test_everything_that_can_be_included_is_known() -> None:
    assert set(get_args(response_includable.ResponseIncludable)) == set(INCLUDE_VALUES)


def test_nothing_that_is_served_is_refused() -> None:
    assert not KEYS.keys() & shape_of(CreateResponseRequest.DESCRIPTOR).fields.keys()


def test_what_asks_for_nothing_is_told_by_type_and_value() -> None:
    quiet: Quiet = (False, [])
    harmless: Quiet = (None, False, [])
    others: Quiet = (0, True, {}, [1], "")
    assert [asks_for_nothing(value, quiet) for value in (*harmless, *others)] == [True] * 3 + [False] * 5


def types_of(said: object) -> Iterator[str]:
    """The words that `type` may have in a union of dictionaries."""
    if get_origin(said) is Literal:
        yield from get_args(said)
    elif get_args(said):
        for inner in get_args(said):
            yield from types_of(inner)
    elif hasattr(said, "__annotations__"):
        yield from types_of(get_type_hints(said).get("type"))
