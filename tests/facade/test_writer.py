"""Messages as JSON: what is null, what is left out, and what keeps its form."""

from typing import Any

import orjson
import pytest
from google.protobuf.message import Message

from answerd.v1 import (
    content_pb2,
    event_pb2,
    item_pb2,
    logprob_pb2,
    model_pb2,
    reasoning_pb2,
    text_pb2,
    tool_choice_pb2,
    tool_pb2,
)
from answerd.v1.event_pb2 import ResponseEvent
from facade.events import OPEN_RESPONSES_TYPES, TYPES, EventWriter
from facade.writer import write_message, write_model, write_whole_response
from tests.facade import scripts
from tests.support.openresponses import EVENT_SCHEMAS, validate_event, validate_response
from tests.support.sse import parse_frame


def written(message: Message) -> Any:
    return orjson.loads(orjson.dumps(write_message(message)))


def frame(event: ResponseEvent) -> dict[str, Any]:
    text = EventWriter().frame(event).decode()
    assert text.endswith("\n\n")
    return parse_frame(text.removesuffix("\n\n"))


OBJECTS: dict[str, tuple[Message, Any]] = {
    "a bare tool has all keys": (
        tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f")),
        {"type": "function", "name": "f", "description": None, "parameters": None, "strict": None},
    ),
    "parameters are JSON, whatever white space they have": (
        tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f", parameters='{\r\n "a": 1.0}', strict=False)),
        {"type": "function", "name": "f", "description": None, "parameters": {"a": 1.0}, "strict": False},
    ),
    "a schema": (
        text_pb2.TextFormat(json_schema=text_pb2.JsonSchemaFormat(name="s", schema="{}")),
        {"type": "json_schema", "name": "s", "description": None, "schema": {}, "strict": False},
    ),
    "plain text": (text_pb2.TextFormat(text=text_pb2.PlainTextFormat()), {"type": "text"}),
    "no verbosity": (
        text_pb2.TextConfig(format=text_pb2.TextFormat(text=text_pb2.PlainTextFormat())),
        {"format": {"type": "text"}},
    ),
    "half a reasoning": (
        reasoning_pb2.ReasoningConfig(effort=reasoning_pb2.REASONING_EFFORT_LOW),
        {"effort": "low", "summary": None},
    ),
    "a choice, a word": (tool_choice_pb2.ToolChoice(mode=tool_choice_pb2.TOOL_CHOICE_MODE_REQUIRED), "required"),
    "a choice, a function": (
        tool_choice_pb2.ToolChoice(function=tool_choice_pb2.FunctionToolChoice(name="f")),
        {"type": "function", "name": "f"},
    ),
    "a choice, some tools": (
        tool_choice_pb2.ToolChoice(
            allowed_tools=tool_choice_pb2.AllowedTools(tools=[tool_choice_pb2.FunctionToolChoice(name="f")])
        ),
        {"type": "allowed_tools", "tools": [{"type": "function", "name": "f"}], "mode": "auto"},
    ),
    "a message without phase": (
        scripts.message(None, scripts.IN_PROGRESS),
        {"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []},
    ),
    "thoughts without content": (
        scripts.reasoning_item(None, scripts.COMPLETED),
        {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": []},
    ),
    "the bytes of a token": (
        logprob_pb2.LogProb(token="é", logprob=-0.5, bytes="é".encode()),
        {"token": "é", "logprob": -0.5, "bytes": [195, 169], "top_logprobs": []},
    ),
    "a function's output, text": (
        item_pb2.FunctionOutput(text='{"a": 1}'),
        '{"a": 1}',
    ),
    "a function's output, parts": (
        item_pb2.FunctionOutput(
            parts=item_pb2.ContentPartList(parts=[content_pb2.ContentPart(input_text=content_pb2.InputText(text="a"))])
        ),
        [{"type": "input_text", "text": "a"}],
    ),
    "arguments stay a string": (
        scripts.call_item('{"a": 1}', scripts.COMPLETED),
        {
            "type": "function_call",
            "id": "fc_1",
            "status": "completed",
            "call_id": "call_1",
            "name": "get_weather",
            "arguments": '{"a": 1}',
        },
    ),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_a_message_becomes_its_json(name: str) -> None:
    message, value = OBJECTS[name]
    assert written(message) == value


def test_a_log_probability_is_written_with_every_field_of_the_contract() -> None:
    top = logprob_pb2.TopLogProb(token="a", logprob=-0.5, bytes=b"a")
    value = written(logprob_pb2.LogProb(token="b", logprob=-1.5, bytes=b"b", top_logprobs=[top, top]))
    assert list(value) == [field.name for field in logprob_pb2.LogProb.DESCRIPTOR.fields]
    assert [list(each) for each in value["top_logprobs"]] == [[field.name for field in top.DESCRIPTOR.fields]] * 2


def test_numbers_in_json_text_keep_their_form() -> None:
    tool = tool_pb2.FunctionTool(name="f", parameters='{"b":1.0,"a":18446744073709551617}')
    assert b'{"b":1.0,"a":18446744073709551617}' in orjson.dumps(write_message(tool))


def full_response() -> Any:
    return scripts.completed(
        [scripts.message("Hello")],
        tools=[tool_pb2.Tool(function=tool_pb2.FunctionTool(name="f", parameters='{"type":\n"object"}'))],
        tool_choice=tool_choice_pb2.ToolChoice(
            allowed_tools=tool_choice_pb2.AllowedTools(
                tools=[tool_choice_pb2.FunctionToolChoice(name="f")], mode=tool_choice_pb2.TOOL_CHOICE_MODE_AUTO
            )
        ),
        text=text_pb2.TextConfig(
            format=text_pb2.TextFormat(
                json_schema=text_pb2.JsonSchemaFormat(name="s", schema='{"type":"object"}', strict=True)
            ),
            verbosity=text_pb2.VERBOSITY_LOW,
        ),
        reasoning=reasoning_pb2.ReasoningConfig(effort=reasoning_pb2.REASONING_EFFORT_HIGH),
        metadata={"a": "b"},
        max_output_tokens=5,
        instructions="Be brief.",
        previous_response_id="resp_0",
        safety_identifier="s",
        prompt_cache_key="k",
    )


def test_a_response_with_everything_set_is_valid() -> None:
    validate_response(orjson.loads(orjson.dumps(write_whole_response(full_response()))))


def test_an_event_with_it_stays_in_one_frame_and_valid() -> None:
    validate_event(frame(ResponseEvent(completed=scripts.snapshot(full_response()))))


def test_the_text_of_all_messages_is_concatenated() -> None:
    response = scripts.completed([scripts.message("a"), scripts.call_item("{}", scripts.COMPLETED)])
    response.output.append(scripts.message("b"))
    assert write_whole_response(response)["output_text"] == "ab"


def test_a_model_is_openais_object() -> None:
    model = model_pb2.Model(id="m", created=3, owned_by="o", context_length=4096)
    assert write_model(model) == {
        "id": "m",
        "object": "model",
        "created": 3,
        "owned_by": "o",
        "context_length": 4096,
        "loaded": False,
    }


PLACE: dict[str, Any] = {"item_id": "i", "output_index": 1, "content_index": 2}
SUMMARY: dict[str, Any] = {"item_id": "i", "output_index": 1, "summary_index": 2}
SUMMARY_PART = content_pb2.ContentPart(summary_text=content_pb2.SummaryText(text="s"))
CITATION = content_pb2.UrlCitation(url="u", title="t", start_index=0, end_index=1)
RARE_EVENTS: list[ResponseEvent] = [
    ResponseEvent(queued=scripts.snapshot(scripts.response())),
    ResponseEvent(refusal_delta=event_pb2.RefusalDelta(delta="No", **PLACE)),
    ResponseEvent(refusal_done=event_pb2.RefusalDone(refusal="No", **PLACE)),
    ResponseEvent(
        output_text_annotation_added=event_pb2.OutputTextAnnotationAdded(
            annotation_index=0, annotation=content_pb2.Annotation(url_citation=CITATION), **PLACE
        )
    ),
    ResponseEvent(reasoning_summary_part_added=event_pb2.ReasoningSummaryPartAdded(part=SUMMARY_PART, **SUMMARY)),
    ResponseEvent(reasoning_summary_part_done=event_pb2.ReasoningSummaryPartDone(part=SUMMARY_PART, **SUMMARY)),
    ResponseEvent(reasoning_summary_text_delta=event_pb2.ReasoningSummaryTextDelta(delta="s", **SUMMARY)),
    ResponseEvent(reasoning_summary_text_done=event_pb2.ReasoningSummaryTextDone(text="s", **SUMMARY)),
    ResponseEvent(error=event_pb2.ErrorEvent(type="server_error", message="m")),
    ResponseEvent(error=event_pb2.ErrorEvent(type="server_error", message="m", code="c", param="p")),
    ResponseEvent(
        output_text_delta=event_pb2.OutputTextDelta(
            delta="é", logprobs=[logprob_pb2.LogProb(token="é", logprob=-0.5, bytes=b"\xc3\xa9")], **PLACE
        )
    ),
]


@pytest.mark.parametrize("event", RARE_EVENTS, ids=lambda event: str(event.WhichOneof("event")))
def test_an_event_that_few_streams_have_is_valid(event: ResponseEvent) -> None:
    validate_event(frame(event))


def test_an_error_event_is_nested_and_flat_in_one() -> None:
    error = frame(ResponseEvent(error=event_pb2.ErrorEvent(type="server_error", message="m")))
    assert error["error"] == {"type": "server_error", "code": None, "message": "m", "param": None}
    assert (error["code"], error["message"], error["param"]) == (None, "m", None)


def test_every_event_of_the_contract_has_a_type() -> None:
    fields = {field.name for field in ResponseEvent.DESCRIPTOR.oneofs_by_name["event"].fields}
    assert fields == TYPES.keys()


def test_the_types_are_those_of_the_specification() -> None:
    assert {*{**TYPES, **OPEN_RESPONSES_TYPES}.values()} == EVENT_SCHEMAS.keys()


def test_an_event_of_a_newer_contract_has_no_frame() -> None:
    assert EventWriter().frame(ResponseEvent(sequence_number=3)) == b""
