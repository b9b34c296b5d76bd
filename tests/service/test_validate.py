"""Which requests are refused, by which path and for which reason."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.include_pb2 import Include
from service.errors import InvalidRequest, Reason
from service.validate import UNSUPPORTED, check_include, validate
from service.validate.request import check_biases
from tests.service.request_cases import (
    ACCEPTED,
    FUNCTION,
    INVALID,
    MISSING,
    REFUSED,
    UNSUPPORTED_CONTENT,
    UNSUPPORTED_PARAMETER,
    faults_of,
    items,
    message,
    request_of,
)


@pytest.mark.parametrize("fields", ACCEPTED)
def test_what_can_be_honoured_passes(fields: dict[str, Any]) -> None:
    assert faults_of(request_of(fields)) == []


@pytest.mark.parametrize(("fields", "path", "reason"), REFUSED)
def test_a_single_fault_is_named_by_its_path(fields: dict[str, Any], path: str, reason: Reason) -> None:
    assert faults_of(request_of(fields)) == [(path, reason)]


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"tools": [{}]}, "tools[0].type", MISSING),
        ({"tools": [{"function": {}}]}, "tools[0].name", MISSING),
        ({"tools": [{"function": {"name": "look up"}}]}, "tools[0].name", INVALID),
        ({"tools": [{"function": {"name": "é"}}]}, "tools[0].name", INVALID),
        ({"tools": [{"function": {"name": "x" * 65}}]}, "tools[0].name", INVALID),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name", INVALID),
        ({"tools": [{"function": {"name": "f", "parameters": "[]"}}]}, "tools[0].parameters", INVALID),
        ({"tools": [{"function": {"name": "f", "parameters": "{"}}]}, "tools[0].parameters", INVALID),
        ({"tools": [{"function": {"name": "f", "parameters": "[" * 99999}}]}, "tools[0].parameters", INVALID),
        ({"toolChoice": {"function": {}}}, "tool_choice.name", MISSING),
        ({"toolChoice": {"function": {"name": "f"}}}, "tool_choice.name", INVALID),
        ({"toolChoice": {"allowedTools": {}}}, "tool_choice.tools", INVALID),
        ({"toolChoice": {"allowedTools": {"tools": [{"name": "f"}]}}}, "tool_choice.tools[0].name", INVALID),
        ({"text": {"format": {"jsonSchema": {"schema": "{}"}}}}, "text.format.name", MISSING),
        ({"text": {"format": {"jsonSchema": {"name": "a", "schema": "7"}}}}, "text.format.schema", INVALID),
        ({"grammar": {"value": "a"}}, "grammar.type", MISSING),
        ({"grammar": {"type": "GRAMMAR_TYPE_LARK"}}, "grammar.value", MISSING),
        (items({"functionCall": {"name": "f"}}), "input[0].call_id", MISSING),
        (items({"functionCall": {"callId": "c" * 65, "name": "f"}}), "input[0].call_id", INVALID),
        (items({"functionCall": {"callId": "c", "name": "f f"}}), "input[0].name", INVALID),
        (items({"functionCallOutput": {"callId": "c"}}), "input[0].output", MISSING),
        (
            items({"functionCallOutput": {"callId": "c", "output": {"parts": {"parts": [{"inputImage": {}}]}}}}),
            "input[0].output[0]",
            UNSUPPORTED_CONTENT,
        ),
    ],
)
def test_faults_within_what_is_unsupported_are_named_as_well(fields: dict[str, Any], path: str, reason: Reason) -> None:
    assert (path, reason) in faults_of(request_of(fields))


def test_a_grammar_and_a_format_contradict_each_other() -> None:
    grammar = {"type": "GRAMMAR_TYPE_REGEX", "value": "a"}
    fields = {"grammar": grammar, "text": {"format": {"jsonObject": {}}}}
    assert ("grammar", INVALID) in faults_of(request_of(fields))
    assert ("grammar", INVALID) not in faults_of(request_of({**fields, "text": {"format": {"text": {}}}}))


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        ("stop", {"stop": ["a"]}),
        ("n_choices", {"nChoices": 2}),
        ("grammar", {"grammar": {"type": "GRAMMAR_TYPE_REGEX", "value": "a"}}),
    ],
)
def test_what_does_not_go_with_tools_is_refused_with_the_names_of_both(key: str, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(request_of({"tools": [FUNCTION], **fields}))
    assert f"'{key}'" in caught.value.message
    assert "'tools'" in caught.value.message
    validate(request_of({"tools": [FUNCTION], "toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}, **fields}))


def test_all_faults_are_told_in_document_order() -> None:
    broken = items(
        message("ROLE_USER", {"inputText": {}}, {"inputImage": {}}, {"inputFile": {}}),
        {"itemReference": {}},
        {"message": {}},
        *[message("ROLE_USER")] * 7,
        {"functionCall": {"name": "a b", "callId": "c"}},
    )
    background = {"background": True, "store": False}
    request = request_of({**broken, "temperature": 3, "minP": 1.5, "topLogprobs": 50, **background, "topP": 2})
    assert [path for path, _ in faults_of(request)] == [
        "input[0].content[1]",
        "input[0].content[2]",
        "input[1].id",
        "input[2].role",
        "input[10].name",
        "background",
        "temperature",
        "top_p",
        "top_logprobs",
        "min_p",
    ]


def test_the_search_ends_at_a_hundred_faults() -> None:
    faults = faults_of(request_of(items(*[{}] * 5000)))
    assert [path for path, _ in faults] == [f"input[{index}].type" for index in range(100)]


def test_an_empty_request_lacks_its_input() -> None:
    with pytest.raises(InvalidRequest) as caught:
        validate(CreateResponseRequest())
    assert caught.value.message == "Missing required parameter: 'input'."


def test_every_row_of_the_table_is_shown_to_refuse() -> None:
    for row in UNSUPPORTED:
        refusing = [
            fields
            for fields, path, reason in REFUSED
            if reason is UNSUPPORTED_PARAMETER and path in row.asked(request_of(fields))
        ]
        assert refusing, f"no case for {row.name}"


def test_rows_are_named_after_fields_of_the_contract() -> None:
    fields = set(CreateResponseRequest.DESCRIPTOR.fields_by_name)
    kinds = {
        field.name
        for field in CreateResponseRequest.DESCRIPTOR.file.pool.FindMessageTypeByName("answerd.v1.Item").fields
    }
    for row in UNSUPPORTED:
        top, _, rest = row.name.partition(".")
        assert (rest in kinds) if top == "input[]" else (top in fields), row.name
    assert len({row.name for row in UNSUPPORTED}) == len(UNSUPPORTED)


RICH = request_of({key: value for fields in ACCEPTED for key, value in fields.items()}).SerializeToString()


@given(st.lists(st.tuples(st.integers(0, len(RICH) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_request_is_valid_or_refused_but_never_an_accident(changes: list[tuple[int, int]]) -> None:
    data = bytearray(RICH)
    for place, byte in changes:
        data[place] = byte
    try:
        request = CreateResponseRequest.FromString(bytes(data))
    except DecodeError:
        return
    paths = [path for path, _ in faults_of(request)]
    assert len(set(paths)) == len(paths)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=7, max_size=7))
def test_numbers_that_are_no_choice_are_refused(numbers: list[int]) -> None:
    """Enums are open on the wire: any 32-bit number may come."""
    request = request_of({})
    request.truncation, request.service_tier, request.text.verbosity = numbers[0], numbers[1], numbers[2]  # type: ignore[assignment]
    request.reasoning.effort, request.reasoning.summary = numbers[3], numbers[4]  # type: ignore[assignment]
    request.tool_choice.mode = numbers[5]  # type: ignore[assignment]
    request.include.append(numbers[6])  # type: ignore[arg-type]
    named = ["truncation", "service_tier", "text.verbosity", "reasoning.effort", "reasoning.summary", "tool_choice"]
    limits = [2, 7, 3, 7, 3, 3]
    faults = faults_of(request)
    for path, number, highest in zip(named, numbers, limits, strict=False):
        assert ((path, INVALID) in faults) == (not 0 <= number <= highest)
    assert (("include[0]", INVALID) in faults) == (not 1 <= numbers[6] <= 8)


def test_includes_of_other_requests_follow_the_same_rules() -> None:
    check_include([Include.INCLUDE_REASONING_ENCRYPTED_CONTENT, Include.INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS])
    with pytest.raises(InvalidRequest) as caught:
        check_include([Include.INCLUDE_WEB_SEARCH_CALL_RESULTS, Include.INCLUDE_UNSPECIFIED])
    assert [(found.path, found.reason) for found in caught.value.violations] == [
        ("include[0]", UNSUPPORTED_PARAMETER),
        ("include[1]", INVALID),
    ]


def test_biases_are_for_tokens_that_the_model_has() -> None:
    check_biases(request_of({"logitBias": {"0": 1, "99": 1}}), vocab_size=100)
    with pytest.raises(InvalidRequest) as caught:
        check_biases(request_of({"logitBias": {"5": 1, "100": 1, "2147483647": 0}}), vocab_size=100)
    assert [(found.path, found.reason) for found in caught.value.violations] == [
        ("logit_bias.100", INVALID),
        ("logit_bias.2147483647", INVALID),
    ]
