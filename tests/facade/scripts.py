"""Events as the service sends them, for the fake to play: a text, a function call, thoughts, a failure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from answerd.v1 import (
    compaction_pb2,
    content_pb2,
    event_pb2,
    item_pb2,
    response_pb2,
    text_pb2,
    tool_choice_pb2,
    usage_pb2,
)
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.service_tier_pb2 import SERVICE_TIER_DEFAULT
from answerd.v1.truncation_pb2 import TRUNCATION_DISABLED

ID, ITEM_ID = "resp_1", "msg_1"
IN_PROGRESS, COMPLETED, INCOMPLETE = (
    item_pb2.ITEM_STATUS_IN_PROGRESS,
    item_pb2.ITEM_STATUS_COMPLETED,
    item_pb2.ITEM_STATUS_INCOMPLETE,
)


def response(status: ResponseStatus.ValueType = ResponseStatus.RESPONSE_STATUS_IN_PROGRESS, **fields: Any) -> Response:
    """A response with the settings of a request that named none."""
    settings: dict[str, Any] = {
        "id": ID,
        "created_at": 1_700_000_000,
        "status": status,
        "model": "tiny",
        "tool_choice": tool_choice_pb2.ToolChoice(mode=tool_choice_pb2.TOOL_CHOICE_MODE_AUTO),
        "parallel_tool_calls": True,
        "truncation": TRUNCATION_DISABLED,
        "text": text_pb2.TextConfig(format=text_pb2.TextFormat(text=text_pb2.PlainTextFormat())),
        "temperature": 1.0,
        "top_p": 1.0,
        "store": True,
        "service_tier": SERVICE_TIER_DEFAULT,
    }
    return Response(**(settings | fields))


def usage(output_tokens: int) -> usage_pb2.Usage:
    return usage_pb2.Usage(
        input_tokens=5,
        input_tokens_details=usage_pb2.InputTokensDetails(),
        output_tokens=output_tokens,
        output_tokens_details=usage_pb2.OutputTokensDetails(),
        total_tokens=5 + output_tokens,
    )


def completed(items: Sequence[item_pb2.Item], **fields: Any) -> Response:
    done: dict[str, Any] = {"completed_at": 1_700_000_009, "output": items, "usage": usage(3)}
    return response(ResponseStatus.RESPONSE_STATUS_COMPLETED, **(done | fields))


def snapshot(of: Response) -> event_pb2.ResponseSnapshot:
    return event_pb2.ResponseSnapshot(response=of)


def compacted() -> compaction_pb2.CompactedResponse:
    item = item_pb2.CompactionItem(id="cmp_1", encrypted_content="c2VhbGVk")
    output = [message("Hi"), item_pb2.Item(compaction=item)]
    return compaction_pb2.CompactedResponse(id="compacted_1", created_at=1_700_000_000, output=output, usage=usage(3))


def begin() -> list[ResponseEvent]:
    return [ResponseEvent(created=snapshot(response())), ResponseEvent(in_progress=snapshot(response()))]


def numbered(events: Iterable[ResponseEvent]) -> list[ResponseEvent]:
    """The events with the numbers 0, 1, 2, and so on."""
    counted = []
    for number, event in enumerate(events):
        event.sequence_number = number
        counted.append(event)
    return counted


def output_text(text: str) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(output_text=content_pb2.OutputText(text=text))


def message(text: str | None, status: item_pb2.ItemStatus.ValueType = COMPLETED) -> item_pb2.Item:
    """An assistant's message; None for one that has only begun."""
    content = [] if text is None else [output_text(text)]
    return item_pb2.Item(
        message=item_pb2.MessageItem(id=ITEM_ID, status=status, role=item_pb2.ROLE_ASSISTANT, content=content)
    )


def message_events(pieces: Sequence[str], status: item_pb2.ItemStatus.ValueType = COMPLETED) -> list[ResponseEvent]:
    text = "".join(pieces)
    place: dict[str, Any] = {"item_id": ITEM_ID, "output_index": 0, "content_index": 0}
    added = event_pb2.OutputItemAdded(output_index=0, item=message(None, IN_PROGRESS))
    done = event_pb2.OutputItemDone(output_index=0, item=message(text, status))
    return [
        ResponseEvent(output_item_added=added),
        ResponseEvent(content_part_added=event_pb2.ContentPartAdded(part=output_text(""), **place)),
        *(ResponseEvent(output_text_delta=event_pb2.OutputTextDelta(delta=piece, **place)) for piece in pieces),
        ResponseEvent(output_text_done=event_pb2.OutputTextDone(text=text, **place)),
        ResponseEvent(content_part_done=event_pb2.ContentPartDone(part=output_text(text), **place)),
        ResponseEvent(output_item_done=done),
    ]


def text(*pieces: str) -> list[ResponseEvent]:
    """A whole response that says `pieces`, one delta each."""
    end = completed([message("".join(pieces))])
    return numbered([*begin(), *message_events(pieces), ResponseEvent(completed=snapshot(end))])


def cut(*pieces: str) -> list[ResponseEvent]:
    """A response that used up its budget."""
    details = response_pb2.IncompleteDetails(reason=response_pb2.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS)
    end = response(
        ResponseStatus.RESPONSE_STATUS_INCOMPLETE,
        incomplete_details=details,
        output=[message("".join(pieces), INCOMPLETE)],
        usage=usage(3),
    )
    return numbered([*begin(), *message_events(pieces, INCOMPLETE), ResponseEvent(incomplete=snapshot(end))])


def failed(code: str, *pieces: str) -> list[ResponseEvent]:
    """A response that a fault of the kind `code` broke off."""
    error = response_pb2.ResponseError(code="server_error", message="It broke.")
    end = response(ResponseStatus.RESPONSE_STATUS_FAILED, error=error, output=[message("".join(pieces), INCOMPLETE)])
    fault = event_pb2.ErrorEvent(type="server_error", code=code, message="It broke.")
    return numbered(
        [
            *begin(),
            *message_events(pieces, INCOMPLETE),
            ResponseEvent(error=fault),
            ResponseEvent(failed=snapshot(end)),
        ]
    )


def call_item(arguments: str, status: item_pb2.ItemStatus.ValueType) -> item_pb2.Item:
    call = item_pb2.FunctionCallItem(
        id="fc_1", status=status, call_id="call_1", name="get_weather", arguments=arguments
    )
    return item_pb2.Item(function_call=call)


def function_call(*pieces: str) -> list[ResponseEvent]:
    """A response that calls a function with the arguments `pieces`, one delta each."""
    arguments = "".join(pieces)
    place: dict[str, Any] = {"item_id": "fc_1", "output_index": 0}
    done = event_pb2.FunctionCallArgumentsDone(name="get_weather", arguments=arguments, **place)
    item = call_item(arguments, COMPLETED)
    added = event_pb2.OutputItemAdded(output_index=0, item=call_item("", IN_PROGRESS))
    deltas = [event_pb2.FunctionCallArgumentsDelta(delta=piece, **place) for piece in pieces]
    return numbered(
        [
            *begin(),
            ResponseEvent(output_item_added=added),
            *(ResponseEvent(function_call_arguments_delta=delta) for delta in deltas),
            ResponseEvent(function_call_arguments_done=done),
            ResponseEvent(output_item_done=event_pb2.OutputItemDone(output_index=0, item=item)),
            ResponseEvent(completed=snapshot(completed([item]))),
        ]
    )


def thought(text: str) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(reasoning_text=content_pb2.ReasoningText(text=text))


def reasoning_item(text: str | None, status: item_pb2.ItemStatus.ValueType) -> item_pb2.Item:
    content = [] if text is None else [thought(text)]
    return item_pb2.Item(reasoning=item_pb2.ReasoningItem(id="rs_1", status=status, content=content))


def reasoning(*pieces: str) -> list[ResponseEvent]:
    """A response that only thinks."""
    text = "".join(pieces)
    place: dict[str, Any] = {"item_id": "rs_1", "output_index": 0, "content_index": 0}
    item = reasoning_item(text, COMPLETED)
    added = event_pb2.OutputItemAdded(output_index=0, item=reasoning_item(None, IN_PROGRESS))
    return numbered(
        [
            *begin(),
            ResponseEvent(output_item_added=added),
            ResponseEvent(content_part_added=event_pb2.ContentPartAdded(part=thought(""), **place)),
            *(ResponseEvent(reasoning_text_delta=event_pb2.ReasoningTextDelta(delta=p, **place)) for p in pieces),
            ResponseEvent(reasoning_text_done=event_pb2.ReasoningTextDone(text=text, **place)),
            ResponseEvent(content_part_done=event_pb2.ContentPartDone(part=thought(text), **place)),
            ResponseEvent(output_item_done=event_pb2.OutputItemDone(output_index=0, item=item)),
            ResponseEvent(completed=snapshot(completed([item]))),
        ]
    )
