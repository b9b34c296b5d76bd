"""Items become chat messages: roles, thoughts, and calls with their outputs, for templates that know them or not."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from answerd.v1.input_pb2 import ItemList
from service.conversation import ChatMessage, chat_messages

THOUGHT = {"reasoning": {"content": [{"reasoningText": {"text": "Hm."}}]}}
CALL_TEXT = '<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>'


def say(role: str, *texts: str) -> dict[str, Any]:
    kind = "outputText" if role == "ASSISTANT" else "inputText"
    return {"message": {"role": f"ROLE_{role}", "content": [{kind: {"text": text}} for text in texts]}}


def call(number: int = 1, arguments: str = '{"a": 1}') -> dict[str, Any]:
    return {"functionCall": {"callId": f"call_{number}", "name": "add", "arguments": arguments}}


def output(number: int, *texts: str) -> dict[str, Any]:
    parts = [{"inputText": {"text": text}} for text in texts]
    return {"functionCallOutput": {"callId": f"call_{number}", "output": {"parts": {"parts": parts}}}}


def rendered(*items: dict[str, Any], native: bool = False, instructions: str | None = None) -> list[ChatMessage]:
    parsed = ParseDict({"items": list(items)}, ItemList()).items
    return chat_messages(instructions, parsed, native_calls=native)


def test_instructions_come_first_and_roles_are_those_of_templates() -> None:
    items = [say("USER", "a"), say("ASSISTANT", "b"), say("DEVELOPER", "c"), say("SYSTEM", "d")]
    assert rendered(*items, instructions="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": "c"},
        {"role": "system", "content": "d"},
    ]


@pytest.mark.parametrize("instructions", [None, ""])
def test_without_instructions_there_is_no_system_message(instructions: str | None) -> None:
    assert rendered(say("USER", "a"), instructions=instructions) == [{"role": "user", "content": "a"}]


def test_a_thought_belongs_to_the_message_and_the_calls_behind_it() -> None:
    assert rendered(THOUGHT, say("ASSISTANT", "b"), THOUGHT, call(), native=True) == [
        {"role": "assistant", "content": "b", "reasoning_content": "Hm."},
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
            ],
        },
    ]


def test_words_and_calls_of_one_turn_are_one_message_and_outputs_have_one_each() -> None:
    messages = rendered(say("ASSISTANT", "b"), call(1), call(2), output(1, "o", "ne"), output(2, "two"), native=True)
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool"]
    assert [each["id"] for each in messages[0]["tool_calls"]] == ["call_1", "call_2"]
    assert messages[0]["content"] == "b"
    assert messages[1] == {"role": "tool", "content": "one", "tool_call_id": "call_1", "name": "add"}


def test_words_after_a_call_are_another_message() -> None:
    assert [message["content"] for message in rendered(call(), say("ASSISTANT", "b"), native=True)] == ["", "b"]


def test_a_template_without_calls_reads_them_as_the_model_writes_them() -> None:
    assert rendered(say("ASSISTANT", "b"), call(1), call(2), output(1, "one"), output(2, "two"), say("USER", "c")) == [
        {"role": "assistant", "content": f"b\n{CALL_TEXT}\n{CALL_TEXT}"},
        {
            "role": "user",
            "content": "<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response>",
        },
        {"role": "user", "content": "c"},
    ]
    assert rendered(call()) == [{"role": "assistant", "content": CALL_TEXT}]


def test_arguments_that_were_cut_off_stay_text() -> None:
    [message] = rendered(call(arguments='{"a'), native=True)
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a'
    assert rendered(call(arguments='{"a'))[0]["content"] == CALL_TEXT.replace('{"a": 1}', '{"a')
