"""The body of POST /v1/responses: where each key goes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.create_response_pb2 import CreateResponseRequest
from facade.create_request import ALIASES, KNOWN, CreateRequest, read_create_request
from facade.errors import ApiError
from facade.unsupported import KEYS as UNSUPPORTED
from tests.facade.reading import read


def test_a_string_stays_a_string() -> None:
    assert read(input="hi") == {"input": {"text": "hi"}}


MAPPED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "null is unset": ({"model": None, "tools": None, "text": None, "store": None}, {}),
    "plain values": (
        {"model": "m", "temperature": 0, "top_p": 0.5, "store": False, "seed": -1, "user": "u", "top_k": 4},
        {"model": "m", "temperature": 0.0, "top_p": 0.5, "store": False, "seed": "-1", "user": "u", "top_k": "4"},
    ),
    "a whole float is an integer": ({"max_output_tokens": 16.0}, {"max_output_tokens": "16"}),
    "metadata": ({"metadata": {"a": "b"}}, {"metadata": {"a": "b"}}),
    "no metadata": ({"metadata": {}}, {}),
    "biases": ({"logit_bias": {"17": -2, "3": 1.5}}, {"logit_bias": {"17": -2.0, "3": 1.5}}),
    "stop, a string": ({"stop": "END"}, {"stop": ["END"]}),
    "stop, a list": ({"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    "an empty list differs from none": ({"dry_sequence_breakers": []}, {"dry_sequence_breakers": {}}),
    "breakers": ({"dry_sequence_breakers": ["\n"]}, {"dry_sequence_breakers": {"values": ["\n"]}}),
    "include": (
        {"include": ["message.output_text.logprobs"]},
        {"include": ["INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS"]},
    ),
    "tool choice, a word": ({"tool_choice": "none"}, {"tool_choice": {"mode": "TOOL_CHOICE_MODE_NONE"}}),
    "tool choice, a function": (
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"function": {"name": "f"}}},
    ),
    "tool choice, a function in the older form": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
        {"tool_choice": {"function": {"name": "f"}}},
    ),
    "tool choice, some tools": (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]}},
        {"tool_choice": {"allowed_tools": {"mode": "TOOL_CHOICE_MODE_AUTO", "tools": [{"name": "f"}]}}},
    ),
    "tool choice, some tools in the older form": (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            }
        },
        {"tool_choice": {"allowed_tools": {"mode": "TOOL_CHOICE_MODE_REQUIRED", "tools": [{"name": "f"}]}}},
    ),
    "a tool": (
        {"tools": [{"type": "function", "name": "f", "parameters": {"b": 1.0, "a": 18446744073709551617}}]},
        {"tools": [{"function": {"name": "f", "parameters": '{"b":1.0,"a":18446744073709551617}'}}]},
    ),
    "a tool in the older form": (
        {"tools": [{"type": "function", "function": {"name": "f", "description": "d", "strict": True}}]},
        {"tools": [{"function": {"name": "f", "description": "d", "strict": True}}]},
    ),
    "a text format": (
        {"text": {"format": {"type": "json_schema", "name": "s", "schema": {"type": "object"}}, "verbosity": "low"}},
        {
            "text": {
                "format": {"json_schema": {"name": "s", "schema": '{"type":"object"}'}},
                "verbosity": "VERBOSITY_LOW",
            }
        },
    ),
    "a plain text format": ({"text": {"format": {"type": "text"}}}, {"text": {"format": {"text": {}}}}),
    "reasoning": (
        {"reasoning": {"effort": "low", "summary": None}},
        {"reasoning": {"effort": "REASONING_EFFORT_LOW"}},
    ),
    "a grammar, text": (
        {"grammar": {"type": "regex", "value": "a+"}},
        {"grammar": {"type": "GRAMMAR_TYPE_REGEX", "value": "a+"}},
    ),
    "a grammar, JSON": (
        {"grammar": {"type": "json_schema", "value": {"a": 1}}},
        {"grammar": {"type": "GRAMMAR_TYPE_JSON_SCHEMA", "value": '{"a":1}'}},
    ),
    "a place, nested or flat": (
        {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"city": "Rome"}}}},
        {"web_search_options": {"user_location": {"approximate": {"city": "Rome"}}}},
    ),
    "what concerns HTTP alone": ({"stream": True, "stream_options": {"include_obfuscation": False}}, {}),
    "a form of streams": ({"stream_format": "events"}, {}),
    "what is not here, as null": (dict.fromkeys(sorted(UNSUPPORTED)), {}),
}


@pytest.mark.parametrize("name", MAPPED)
def test_a_body_becomes_its_message(name: str) -> None:
    body, message = MAPPED[name]
    assert read(**body) == message


ITEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a user's text": (
        {"role": "user", "content": "hi"},
        {"message": {"role": "ROLE_USER", "content": [{"input_text": {"text": "hi"}}]}},
    ),
    "an assistant's text": (
        {"type": "message", "role": "assistant", "content": "hi"},
        {"message": {"role": "ROLE_ASSISTANT", "content": [{"output_text": {"text": "hi"}}]}},
    ),
    "parts": (
        {"role": "system", "content": [{"type": "input_text", "text": "a"}, {"type": "text", "text": ""}]},
        {"message": {"role": "ROLE_SYSTEM", "content": [{"input_text": {"text": "a"}}, {"text": {}}]}},
    ),
    "our own message sent back": (
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "phase": "final_answer",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": [{"token": "a"}]}],
        },
        {
            "message": {
                "id": "msg_1",
                "status": "ITEM_STATUS_COMPLETED",
                "role": "ROLE_ASSISTANT",
                "phase": "MESSAGE_PHASE_FINAL_ANSWER",
                "content": [{"output_text": {"text": "a"}}],
            }
        },
    ),
    "nulls of a client's own classes": (
        {"role": "user", "content": "hi", "id": None, "status": None, "namespace": None},
        {"message": {"role": "ROLE_USER", "content": [{"input_text": {"text": "hi"}}]}},
    ),
    "a status that nobody knows": (
        {"role": "user", "content": [], "status": "pondering"},
        {"message": {"role": "ROLE_USER"}},
    ),
    "a call": (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"function_call": {"call_id": "c", "name": "f", "arguments": "{}"}},
    ),
    "its output, a string": (
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        {"function_call_output": {"call_id": "c", "output": {"text": "42"}}},
    ),
    "its output, parts": (
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "42"}]},
        {"function_call_output": {"call_id": "c", "output": {"parts": {"parts": [{"input_text": {"text": "42"}}]}}}},
    ),
    "thoughts": (
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
        {"reasoning": {"content": [{"reasoning_text": {"text": "hm"}}]}},
    ),
    "thoughts without content": ({"type": "reasoning", "summary": [], "content": None}, {"reasoning": {}}),
    "a reference": ({"type": "item_reference", "id": "msg_1"}, {"item_reference": {"id": "msg_1"}}),
    "a reference without a type": ({"id": "msg_1"}, {"item_reference": {"id": "msg_1"}}),
    "a reference whose type is null": ({"id": "msg_1", "type": None}, {"item_reference": {"id": "msg_1"}}),
    "an image, for the service to refuse": (
        {"role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "auto"}]},
        {
            "message": {
                "role": "ROLE_USER",
                "content": [{"input_image": {"image_url": "u", "detail": "IMAGE_DETAIL_AUTO"}}],
            }
        },
    ),
}


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_becomes_its_message(name: str) -> None:
    item, message = ITEMS[name]
    assert read(input=[item]) == {"input": {"items": {"items": [message]}}}


@pytest.mark.parametrize(("given_", "wanted"), [({}, False), ({"stream": None}, False), ({"stream": True}, True)])
def test_a_stream_is_wanted_only_if_asked_for(given_: dict[str, Any], wanted: bool) -> None:
    assert read_create_request(given_) == CreateRequest(CreateResponseRequest(), wanted)


def test_the_keys_stay_as_the_client_spelled_and_ordered_them() -> None:
    body = {"stream": True, "top_p": 1, "model": None, "messages": "hi", "n": 1}
    assert read_create_request(body).keys == ("top_p", "messages", "n")


def test_no_key_of_the_contract_is_also_something_else() -> None:
    assert not KNOWN & (ALIASES.keys() | UNSUPPORTED.keys())


KEYS = ["type", "role", "content", "name", "text", "value", "x", "7", "9" * 19, "9" * 20, "9" * 5000, "k" * 5000]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from([*sorted(KNOWN), *sorted(ALIASES), "stream", "stream_options"]), JSON))
def test_any_json_is_either_mapped_or_refused_with_a_path(body: dict[str, Any]) -> None:
    refused = None
    try:
        read_create_request(body)
    except ApiError as error:
        refused = error
    if refused is not None:
        assert refused.status == 400
        assert refused.param is not None
        assert refused.param.partition(".")[0].partition("[")[0] in body
        assert json.loads(refused.body("req_1"))["error"]["param"] == refused.param
