"""What in the body of POST /v1/responses is refused because of its shape, and under which path."""

from typing import Any

import pytest

from facade.unsupported import KEYS
from tests.facade.reading import refusal

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown key": ({"temprature": 1}, "UNKNOWN_PARAMETER", "temprature"),
    "an unknown key, even null": ({"temprature": None}, "UNKNOWN_PARAMETER", "temprature"),
    "an unknown key within": ({"reasoning": {"depth": 1}}, "UNKNOWN_PARAMETER", "reasoning.depth"),
    "an unknown key of an item": (
        {"input": [{"role": "user", "content": "a", "colour": 1}]},
        "UNKNOWN_PARAMETER",
        "input[0].colour",
    ),
    "a number as a string": ({"temperature": "1"}, "INVALID_TYPE", "temperature"),
    "a boolean as a number": ({"temperature": True}, "INVALID_TYPE", "temperature"),
    "a number as a boolean": ({"store": 1}, "INVALID_TYPE", "store"),
    "half an integer": ({"max_output_tokens": 1.5}, "INVALID_TYPE", "max_output_tokens"),
    "a boolean as an integer": ({"top_k": True}, "INVALID_TYPE", "top_k"),
    "an integer beyond 64 bits": ({"seed": 2**63}, "INVALID_VALUE", "seed"),
    "an integer beyond 32 bits": ({"top_logprobs": 2**31}, "INVALID_VALUE", "top_logprobs"),
    "a number beyond doubles": ({"temperature": 10**400}, "INVALID_VALUE", "temperature"),
    "a string as an object": ({"text": "json"}, "INVALID_TYPE", "text"),
    "an object as an array": ({"tools": {}}, "INVALID_TYPE", "tools"),
    "input of another type": ({"input": 3}, "INVALID_TYPE", "input"),
    "null in a list": ({"stop": [None]}, "INVALID_TYPE", "stop[0]"),
    "a metadata value": ({"metadata": {"a": 1}}, "INVALID_TYPE", "metadata.a"),
    "an item that is none": ({"input": ["hi"]}, "INVALID_TYPE", "input[0]"),
    "content of another type": ({"input": [{"role": "user", "content": 3}]}, "INVALID_TYPE", "input[0].content"),
    "a part that is none": ({"input": [{"role": "user", "content": ["a"]}]}, "INVALID_TYPE", "input[0].content[0]"),
    "a part's text": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": 1}]}]},
        "INVALID_TYPE",
        "input[0].content[0].text",
    ),
    "a type that is no string": ({"input": [{"type": 1}]}, "INVALID_TYPE", "input[0].type"),
    "an item without a type": ({"input": [{"content": "a"}]}, "MISSING_REQUIRED_PARAMETER", "input[0].type"),
    "an item without a role": (
        {"input": [{"type": "message", "content": "a"}]},
        "MISSING_REQUIRED_PARAMETER",
        "input[0].role",
    ),
    "a message without content": ({"input": [{"role": "user"}]}, "MISSING_REQUIRED_PARAMETER", "input[0].content"),
    "a part without its text": (
        {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
        "MISSING_REQUIRED_PARAMETER",
        "input[0].content[0].text",
    ),
    "a call without its arguments": (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]},
        "MISSING_REQUIRED_PARAMETER",
        "input[0].arguments",
    ),
    "a tool without a name": ({"tools": [{"type": "function"}]}, "MISSING_REQUIRED_PARAMETER", "tools[0].name"),
    "an unknown item": ({"input": [{"type": "wish"}]}, "INVALID_VALUE", "input[0].type"),
    "an unknown part": (
        {"input": [{"role": "user", "content": [{"type": "smell"}]}]},
        "INVALID_VALUE",
        "input[0].content[0].type",
    ),
    "a chat client's image": (
        {"input": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]},
        "UNSUPPORTED_CONTENT",
        "input[0].content[0]",
    ),
    "an unknown role": ({"input": [{"role": "tool", "content": "a"}]}, "INVALID_VALUE", "input[0].role"),
    "a part in an object of its own": (
        {"input": [{"role": "user", "content": [{"type": "input_text", "input_text": {"text": "a"}}]}]},
        "UNKNOWN_PARAMETER",
        "input[0].content[0].input_text",
    ),
    "a key beside a tool in the older form": (
        {"tools": [{"type": "function", "function": {"name": "f"}, "strict": True}]},
        "UNKNOWN_PARAMETER",
        "tools[0].strict",
    ),
    "a key beside a format in the older form": (
        {"response_format": {"type": "json_schema", "zzz": 1, "json_schema": {"name": "s", "schema": {}}}},
        "UNKNOWN_PARAMETER",
        "response_format.zzz",
    ),
    "a hosted tool": ({"tools": [{"type": "web_search"}]}, "UNSUPPORTED_PARAMETER", "tools[0]"),
    "a hosted tool that has to be called": (
        {"tool_choice": {"type": "web_search_preview"}},
        "UNSUPPORTED_PARAMETER",
        "tool_choice",
    ),
    "a hosted tool that may be called": (
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "mcp", "server_label": "x"}]}},
        "UNSUPPORTED_PARAMETER",
        "tool_choice.tools[0].type",
    ),
    "an allowed tool of both forms": (
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "name": "f", "function": {}}]}},
        "UNKNOWN_PARAMETER",
        "tool_choice.tools[0].function",
    ),
    "an allowed tool that is no object": (
        {"tool_choice": {"type": "allowed_tools", "tools": [{"type": "function", "function": "f"}]}},
        "INVALID_TYPE",
        "tool_choice.tools[0]",
    ),
    "a call of a hosted tool": (
        {"input": [{"type": "web_search_call", "id": "ws_1", "status": "completed"}]},
        "UNSUPPORTED_PARAMETER",
        "input[0]",
    ),
    "a key within that only others know": ({"reasoning": {"mode": "pro"}}, "UNSUPPORTED_PARAMETER", "reasoning.mode"),
    "0 for false": (
        {"tools": [{"type": "function", "name": "f", "async": 0}]},
        "UNSUPPORTED_PARAMETER",
        "tools[0].async",
    ),
    "an unknown choice of tools": ({"tool_choice": "perhaps"}, "INVALID_VALUE", "tool_choice"),
    "an unknown include": ({"include": ["everything"]}, "INVALID_VALUE", "include[0]"),
    "a bias for no token": ({"logit_bias": {"the": 1}}, "INVALID_VALUE", "logit_bias.the"),
    "a bias for no token in 64 bits": ({"logit_bias": {"9" * 19: 1}}, "INVALID_VALUE", "logit_bias." + "9" * 19),
    "a bias for an absurd number": ({"logit_bias": {"1" * 5000: 1}}, "INVALID_VALUE", "logit_bias." + "1" * 5000),
    "parameters that are no object": (
        {"tools": [{"type": "function", "name": "f", "parameters": "{}"}]},
        "INVALID_TYPE",
        "tools[0].parameters",
    ),
    "stream": ({"stream": "yes"}, "INVALID_TYPE", "stream"),
    "stream options": ({"stream_options": []}, "INVALID_TYPE", "stream_options"),
    "an unknown stream option": ({"stream_options": {"a": 1}}, "UNKNOWN_PARAMETER", "stream_options.a"),
    "an unknown stream format": ({"stream_format": "morse"}, "INVALID_VALUE", "stream_format"),
    "a fault under another spelling": ({"max_tokens": "9"}, "INVALID_TYPE", "max_tokens"),
    "the first fault of two": ({"store": 1, "temperature": "1"}, "INVALID_TYPE", "store"),
    "a truncation that is none": ({"truncate_sequence": "auto"}, "INVALID_TYPE", "truncate_sequence"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused_with_its_path(name: str) -> None:
    body, reason, param = FAULTS[name]
    assert refusal(body) == (reason, param)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_what_only_openai_has_is_refused_by_name(key: str) -> None:
    assert refusal({key: "x"}) == ("UNSUPPORTED_PARAMETER", key)
