"""Requests in the contract's own JSON form: those that pass, and those that are refused for one fault."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict

from answerd.v1.create_response_pb2 import CreateResponseRequest
from service.errors import InvalidRequest, Reason
from service.validate import validate

INVALID, MISSING = Reason.INVALID_VALUE, Reason.MISSING_REQUIRED_PARAMETER
UNSUPPORTED_PARAMETER, UNSUPPORTED_CONTENT = Reason.UNSUPPORTED_PARAMETER, Reason.UNSUPPORTED_CONTENT
HELLO = {"text": "Hello"}
REGEX = {"type": "GRAMMAR_TYPE_REGEX", "value": "a"}
FUNCTION = {"function": {"name": "look_up", "parameters": '{"type": "object"}'}}


def request_of(fields: dict[str, Any]) -> CreateResponseRequest:
    """A request from the contract's own JSON form; `input` is a plain text unless given."""
    return ParseDict({"input": HELLO, **fields}, CreateResponseRequest())


def faults_of(request: CreateResponseRequest) -> list[tuple[str, Reason]]:
    try:
        validate(request)
    except InvalidRequest as error:
        return [(violation.path, violation.reason) for violation in error.violations]
    return []


def items(*given: dict[str, Any]) -> dict[str, Any]:
    return {"input": {"items": {"items": list(given)}}}


def message(role: str = "ROLE_USER", *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"message": {"role": role, "content": list(parts), **more}}


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"input": {"text": ""}},
    {"model": "default", "instructions": "", "previousResponseId": "resp_1", "store": False},
    {"temperature": 0, "topP": 0, "topK": "0", "seed": str(-(2**63)), "stop": ["a"] * 16},
    {"temperature": 2, "topP": 1, "topK": str(2**63 - 1), "seed": str(2**63 - 1)},
    {"presencePenalty": -2, "frequencyPenalty": 2, "maxOutputTokens": "1"},
    {"maxOutputTokens": str(2**63 - 1)},
    {"metadata": {f"{number:064}": "x" * 512 for number in range(16)}},
    {"user": "u" * 1000, "serviceTier": "SERVICE_TIER_FLEX", "safetyIdentifier": "s" * 64, "promptCacheKey": "k" * 64},
    {"text": {"format": {"text": {}}, "verbosity": "VERBOSITY_LOW"}},
    {"text": {}},
    {"text": {"format": {"jsonObject": {}}}},
    {"text": {"format": {"jsonSchema": {"name": "a", "description": "b", "schema": "{}", "strict": True}}}},
    {"grammar": REGEX, "text": {"format": {"text": {}}}},
    {"tools": [], "toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}, "parallelToolCalls": False, "maxToolCalls": "1"},
    {"toolChoice": {"mode": "TOOL_CHOICE_MODE_AUTO"}, "parallelToolCalls": True},
    {"toolChoice": {}},
    {"tools": [FUNCTION], "toolChoice": {"mode": "TOOL_CHOICE_MODE_REQUIRED"}},
    {"tools": [FUNCTION], "toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}, "stop": ["a"], "nChoices": 2},
    {"nChoices": 128, "minP": 1, "repetitionPenalty": 0.5, "logprobs": True, "topLogprobs": 20},
    {"dryMultiplier": 0.8, "dryBase": 2.5, "dryAllowedLength": 3, "drySequenceBreakers": {"values": ["\n"]}},
    {"logitBias": {"0": -100, "7": 100}},
    {"background": True},
    {"background": True, "store": True},
    {"background": False, "truncation": "TRUNCATION_DISABLED", "enableThinking": False},
    {"truncation": "TRUNCATION_AUTO"},
    {"reasoning": {}},
    {"reasoning": {"effort": "REASONING_EFFORT_LOW"}, "enableThinking": True},
    {"reasoning": {"effort": "REASONING_EFFORT_NONE", "summary": "REASONING_SUMMARY_AUTO"}},
    {"include": ["INCLUDE_REASONING_ENCRYPTED_CONTENT", "INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS"]},
    items(message("ROLE_USER", {"inputText": {"text": "a"}}, {"inputText": {"text": ""}})),
    items({"itemReference": {"id": "msg_1"}}),
    items(message("ROLE_USER"), message("ROLE_SYSTEM"), message("ROLE_DEVELOPER", {"inputText": {"text": "a"}})),
    items(
        message(
            "ROLE_ASSISTANT",
            {"outputText": {"text": "a"}},
            {"refusal": {"refusal": "no"}},
            id="msg_1",
            status="ITEM_STATUS_INCOMPLETE",
            phase="MESSAGE_PHASE_COMMENTARY",
        )
    ),
]


REFUSED: list[tuple[dict[str, Any], str, Reason]] = [
    ({"input": {}}, "input", MISSING),
    ({"input": {"text": "x" * 10_485_761}}, "input", INVALID),
    (items(), "input", INVALID),
    (items(message(), {}), "input[1].type", MISSING),
    (items({"message": {}}), "input[0].role", MISSING),
    (items({"message": {"role": 99}}), "input[0].role", INVALID),
    (items(message("ROLE_USER", phase=9)), "input[0].phase", INVALID),
    (items(message("ROLE_USER", id="i" * 65)), "input[0].id", INVALID),
    (items(message(), message("ROLE_USER", *[{"inputText": {}}] * 10_001)), "input", INVALID),
    (items(*[message()] * 10_001), "input", INVALID),
    ({"include": [77] * 65}, "include", INVALID),
    ({"tools": [{}] * 129}, "tools", INVALID),
    ({"tools": [{"function": {"name": f"f{n}", "description": "x" * 30_000}} for n in range(9)]}, "tools", INVALID),
    ({"logitBias": {str(token): 999 for token in range(1025)}}, "logit_bias", INVALID),
    ({"drySequenceBreakers": {"values": [""] * 65}}, "dry_sequence_breakers", INVALID),
    ({"toolChoice": {"allowedTools": {"tools": [{}] * 129}}}, "tool_choice.tools", INVALID),
    (items(message("ROLE_USER", {})), "input[0].content[0].type", MISSING),
    (items(message("ROLE_USER", {"outputText": {}})), "input[0].content[0]", INVALID),
    (items(message("ROLE_USER", {"text": {}})), "input[0].content[0]", INVALID),
    (items(message("ROLE_SYSTEM", {"refusal": {}})), "input[0].content[0]", INVALID),
    (items(message("ROLE_ASSISTANT", {"inputText": {}})), "input[0].content[0]", INVALID),
    (items(message("ROLE_USER", {"reasoningText": {}})), "input[0].content[0]", INVALID),
    (
        items(message("ROLE_USER", {"inputText": {}}, {"inputImage": {"imageUrl": "file:///etc/passwd"}})),
        "input[0].content[1]",
        UNSUPPORTED_CONTENT,
    ),
    (items(message(), message("ROLE_USER", {"inputFile": {}})), "input[1].content[0]", UNSUPPORTED_CONTENT),
    (items(message("ROLE_DEVELOPER", {"inputVideo": {}})), "input[0].content[0]", UNSUPPORTED_CONTENT),
    (items({"functionCall": {"name": "f"}}), "input[0].call_id", MISSING),
    (items({"functionCall": {"callId": "call_1", "name": "a b"}}), "input[0].name", INVALID),
    (items({"functionCallOutput": {"callId": "call_1"}}), "input[0].output", MISSING),
    (
        items({"functionCallOutput": {"callId": "call_1", "output": {"parts": {"parts": [{"inputImage": {}}]}}}}),
        "input[0].output[0]",
        UNSUPPORTED_CONTENT,
    ),
    (items({"reasoning": {"content": [{"inputText": {"text": "a"}}]}}), "input[0].content[0]", INVALID),
    (items({"reasoning": {"encryptedContent": "AA=="}}), "input[0].encrypted_content", INVALID),
    (items({"itemReference": {}}), "input[0].id", MISSING),
    (items({"itemReference": {"id": "i" * 65}}), "input[0].id", INVALID),
    (items({"compaction": {"encryptedContent": "x" * 10_485_761}}), "input[0].encrypted_content", INVALID),
    ({"background": True, "store": False}, "background", INVALID),
    ({"maxOutputTokens": "0"}, "max_output_tokens", INVALID),
    ({"temperature": -0.1}, "temperature", INVALID),
    ({"temperature": 2.01}, "temperature", INVALID),
    ({"temperature": "NaN"}, "temperature", INVALID),
    ({"topP": 1.5}, "top_p", INVALID),
    ({"topP": -1}, "top_p", INVALID),
    ({"presencePenalty": 2.5}, "presence_penalty", INVALID),
    ({"frequencyPenalty": "-Infinity"}, "frequency_penalty", INVALID),
    ({"topLogprobs": 21}, "top_logprobs", INVALID),
    ({"topLogprobs": -1}, "top_logprobs", INVALID),
    ({"include": ["INCLUDE_CODE_INTERPRETER_CALL_OUTPUTS"]}, "include[0]", UNSUPPORTED_PARAMETER),
    ({"include": [0]}, "include[0]", INVALID),
    ({"include": ["INCLUDE_REASONING_ENCRYPTED_CONTENT", 77]}, "include[1]", INVALID),
    ({"tools": [FUNCTION], "stop": ["a"]}, "stop", INVALID),
    ({"tools": [FUNCTION], "nChoices": 2}, "n_choices", INVALID),
    ({"tools": [FUNCTION], "grammar": {"type": "GRAMMAR_TYPE_REGEX", "value": "a"}}, "grammar", INVALID),
    ({"tools": [{"function": {"name": "f", "parameters": '{"type": "array"}'}}]}, "tools[0].parameters", INVALID),
    ({"tools": [{"function": {"name": "f", "parameters": "[]"}}]}, "tools[0].parameters", INVALID),
    ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name", INVALID),
    ({"toolChoice": {"mode": "TOOL_CHOICE_MODE_REQUIRED"}}, "tool_choice", INVALID),
    ({"toolChoice": {"function": {"name": "g"}}, "tools": [FUNCTION]}, "tool_choice.name", INVALID),
    (
        {"toolChoice": {"allowedTools": {"tools": [{"name": "look_up"}], "mode": 1}}, "tools": [FUNCTION]},
        "tool_choice.mode",
        INVALID,
    ),
    ({"toolChoice": {"mode": 9}}, "tool_choice", INVALID),
    ({"maxToolCalls": "0"}, "max_tool_calls", INVALID),
    ({"text": {"format": {}}}, "text.format.type", MISSING),
    ({"text": {"format": {"jsonSchema": {"name": "a b", "schema": "{}"}}}}, "text.format.name", INVALID),
    ({"text": {"format": {"jsonSchema": {"name": "a", "schema": "[]"}}}}, "text.format.schema", INVALID),
    (
        {"text": {"format": {"jsonSchema": {"name": "a", "schema": '{"a":"' + "a" * 2**18 + '"}'}}}},
        "text.format.schema",
        INVALID,
    ),
    ({"text": {"format": {"jsonObject": {}}}, "stop": ["}"]}, "stop", INVALID),
    ({"text": {"format": {"jsonObject": {}}}, "grammar": REGEX}, "grammar", INVALID),
    ({"grammar": REGEX, "stop": ["}"]}, "stop", INVALID),
    ({"grammar": {"type": "GRAMMAR_TYPE_REGEX", "value": "a" * (2**18 + 1)}}, "grammar.value", INVALID),
    ({"grammar": {"type": 9, "value": "a"}}, "grammar.type", INVALID),
    ({"text": {"verbosity": 9}}, "text.verbosity", INVALID),
    ({"reasoning": {"effort": "REASONING_EFFORT_NONE"}, "enableThinking": True}, "enable_thinking", INVALID),
    ({"reasoning": {"effort": "REASONING_EFFORT_LOW"}, "enableThinking": False}, "enable_thinking", INVALID),
    ({"reasoning": {"effort": 99}}, "reasoning.effort", INVALID),
    ({"reasoning": {"summary": 99}}, "reasoning.summary", INVALID),
    ({"truncation": 9}, "truncation", INVALID),
    ({"metadata": {f"k{number}": "" for number in range(17)}}, "metadata", INVALID),
    ({"metadata": {"k" * 65: ""}}, "metadata." + "k" * 64, INVALID),
    ({"metadata": {"note": "x" * 513}}, "metadata.note", INVALID),
    ({"serviceTier": 99}, "service_tier", INVALID),
    ({"safetyIdentifier": "s" * 65}, "safety_identifier", INVALID),
    ({"promptCacheKey": "k" * 65}, "prompt_cache_key", INVALID),
    ({"unstoredParentId": "r" * 65}, "unstored_parent_id", INVALID),
    ({"topK": "-1"}, "top_k", INVALID),
    ({"minP": 1.1}, "min_p", INVALID),
    ({"minP": -0.1}, "min_p", INVALID),
    ({"repetitionPenalty": 0}, "repetition_penalty", INVALID),
    ({"repetitionPenalty": "Infinity"}, "repetition_penalty", INVALID),
    ({"repetitionPenalty": -1.1}, "repetition_penalty", INVALID),
    ({"logitBias": {"7": 101}}, "logit_bias.7", INVALID),
    ({"logitBias": {"7": -101}}, "logit_bias.7", INVALID),
    ({"logitBias": {"-7": 5}}, "logit_bias.-7", INVALID),
    ({"dryMultiplier": -1}, "dry_multiplier", INVALID),
    ({"dryMultiplier": "Infinity"}, "dry_multiplier", INVALID),
    ({"dryBase": 0}, "dry_base", INVALID),
    ({"dryAllowedLength": -1}, "dry_allowed_length", INVALID),
    ({"drySequenceBreakers": {"values": ["a", ""]}}, "dry_sequence_breakers[1]", INVALID),
    ({"drySequenceBreakers": {"values": ["é" * 64, "é" * 65]}}, "dry_sequence_breakers[1]", INVALID),
    ({"stop": ["a"] * 17}, "stop", INVALID),
    ({"stop": ["a", ""]}, "stop[1]", INVALID),
    ({"nChoices": 0}, "n_choices", INVALID),
    ({"nChoices": 129}, "n_choices", INVALID),
    ({"webSearchOptions": {}}, "web_search_options", UNSUPPORTED_PARAMETER),
]
