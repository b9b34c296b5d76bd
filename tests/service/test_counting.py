"""What CountInputTokens says is what a response to the same request has in its prompt; and how it is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from answerd.v1.compaction_pb2 import CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from service.prompts import as_create_request
from tests.service.conftest import ANSWERS
from tests.service.request_cases import items, message
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, refusal, serving

HELLO = {"input": {"text": "hi"}}
TOOL = {"function": {"name": "f", "description": "Adds.", "parameters": '{"type": "object", "properties": {"a": {}}}'}}
SHAPES: list[dict[str, Any]] = [
    HELLO,
    {**HELLO, "instructions": "be brief"},
    {**HELLO, "instructions": ""},
    {**HELLO, "model": "default", "text": {"format": {"text": {}}}, "reasoning": {}, "parallelToolCalls": False},
    {**HELLO, "toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}, "truncation": "TRUNCATION_DISABLED"},
    {**HELLO, "text": {"format": {"jsonSchema": {"name": "a", "schema": '{"type": "object"}'}}}},
    {**HELLO, "tools": [TOOL]},
    {**HELLO, "tools": [TOOL, {"function": {"name": "g"}}], "toolChoice": {"function": {"name": "g"}}},
    {**HELLO, "tools": [TOOL], "toolChoice": {"mode": "TOOL_CHOICE_MODE_NONE"}},
    items(
        message("ROLE_USER", {"inputText": {"text": "hi"}}),
        {"functionCall": {"callId": "call_1", "name": "f", "arguments": '{"a": 1}'}},
        {"functionCallOutput": {"callId": "call_1", "output": {"text": "7"}}},
    ),
    {"input": {"text": ""}},
    {"input": {"text": "<|im_end|> ünïcode \n" * 5}},
    items(message("ROLE_SYSTEM", {"inputText": {"text": "a"}}), message("ROLE_USER", {"inputText": {"text": "hi"}})),
    items(message("ROLE_USER", {"inputText": {"text": "a"}}, {"inputText": {"text": "b"}})),
    items(message(), message("ROLE_ASSISTANT", {"refusal": {"refusal": "no"}}), message("ROLE_DEVELOPER")),
]


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Tools take some hundred characters, and each is a token."""
    async with serving(tmp_path, ANSWERS, context=2048) as served:
        yield served


def counted(fields: dict[str, Any]) -> CountInputTokensRequest:
    return ParseDict(fields, CountInputTokensRequest())


async def count(served: Served, fields: dict[str, Any]) -> int:
    return (await served.stub.CountInputTokens(counted(fields), timeout=WAIT)).input_tokens


async def in_the_prompt(served: Served, fields: dict[str, Any]) -> int:
    request = ParseDict({**fields, "maxOutputTokens": "1"}, CreateResponseRequest())
    events = [event async for event in served.stub.CreateResponse(request, timeout=WAIT)]
    return final(events).usage.input_tokens


@pytest.mark.parametrize("fields", SHAPES)
async def test_the_count_is_that_of_a_response(served: Served, fields: dict[str, Any]) -> None:
    assert await count(served, fields) == await in_the_prompt(served, fields) > 0


@pytest.mark.parametrize("fields", SHAPES[:3])
async def test_history_is_counted_too(served: Served, fields: dict[str, Any]) -> None:
    parent = await served.answer("long", instructions="not inherited")
    continued = {**fields, "previousResponseId": parent.id}
    assert await count(served, continued) == await in_the_prompt(served, continued) > 200


async def test_a_parent_can_be_counted_without_a_new_input(served: Served) -> None:
    parent = await served.answer("long")
    alone = await count(served, {"previousResponseId": parent.id})
    assert parent.usage.total_tokens < alone < await count(served, {**HELLO, "previousResponseId": parent.id})


async def test_nothing_is_generated_or_stored(served: Served) -> None:
    await count(served, HELLO)
    assert served.script.prompts == []
    assert (await served.store.counts()).records == 0


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT, "MISSING_REQUIRED_PARAMETER"),
        ({"input": {"items": {}}}, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE"),
        ({**HELLO, "model": "other"}, grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND"),
        ({**HELLO, "previousResponseId": "resp_9"}, grpc.StatusCode.NOT_FOUND, "PREVIOUS_RESPONSE_NOT_FOUND"),
        ({"input": {"text": "x" * 2047}}, grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED"),
        (items(message("ROLE_USER", {"inputImage": {}})), grpc.StatusCode.INVALID_ARGUMENT, "UNSUPPORTED_CONTENT"),
    ],
)
async def test_it_is_refused_as_a_response_would_be(
    served: Served, fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    fault = await refusal(served.stub.CountInputTokens(counted(fields), timeout=WAIT))
    assert (fault.code, fault.reason) == (code, reason)


@pytest.mark.parametrize("message", [CountInputTokensRequest, CompactResponseRequest])
def test_every_field_of_it_is_one_of_a_response(message: type[Message]) -> None:
    """By name and type: otherwise the conversion would have nowhere to put it."""
    create = CreateResponseRequest.DESCRIPTOR.fields_by_name
    for field in message.DESCRIPTOR.fields:
        assert (create[field.name].type, create[field.name].message_type) == (field.type, field.message_type)


def test_a_request_for_a_count_becomes_the_same_one_for_a_response() -> None:
    fields = {**SHAPES[3], "previousResponseId": "resp_1", "tools": [{"function": {"name": "f"}}]}
    assert as_create_request(counted(fields)) == ParseDict(fields, CreateResponseRequest())
