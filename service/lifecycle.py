"""The life of one response as a pure state machine: text and an ending in, typed and numbered events out.

It knows neither clocks nor gRPC nor asyncio nor where responses are kept; "now" is an argument. The order of the
events is that of the Open Responses specification, release 2026-04-24.
"""

from dataclasses import dataclass

from answerd.v1 import content_pb2, event_pb2, item_pb2, response_pb2, usage_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus

_MESSAGE_INDEX = 0  # place of the one message in the output, and of the one part in the message
_SERVER_ERROR = "server_error"


@dataclass(frozen=True)
class Completed:
    """The model said all it had to say. at: seconds since 1970-01-01 UTC."""

    at: int


@dataclass(frozen=True)
class LengthReached:
    """The token budget or the context was used up."""


@dataclass(frozen=True)
class Cancelled:
    """The caller left, or deleted the response."""


@dataclass(frozen=True)
class Failed:
    """A fault. code: an error reason in lower case; message: a sentence for the caller."""

    code: str
    message: str


Ending = Completed | LengthReached | Cancelled | Failed

_STATUS = {
    Completed: ResponseStatus.RESPONSE_STATUS_COMPLETED,
    LengthReached: ResponseStatus.RESPONSE_STATUS_INCOMPLETE,
    Cancelled: ResponseStatus.RESPONSE_STATUS_CANCELLED,
    Failed: ResponseStatus.RESPONSE_STATUS_FAILED,
}
_INCOMPLETE_REASON = {
    LengthReached: IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS,
    Cancelled: IncompleteReason.INCOMPLETE_REASON_CANCELLED,
}


class Lifecycle:
    """One response with one message, from `created` to its last event.

    The calls are `start`, any number of `text`, one `end`, then `last_event`. Between `end` and `last_event`, `fail`
    may turn the ending into a failure: the answer is whole, but something after the generation went wrong.
    """

    def __init__(self, response: Response, item_id: str) -> None:
        """response: as admitted, in progress and without output; it is copied. item_id: the message's identifier."""
        self._response = Response()
        self._response.CopyFrom(response)
        self._item_id = item_id
        self._pieces: list[str] = []
        self._open = False
        self._ended = False
        self._next_number = 0

    @property
    def ended(self) -> bool:
        """Whether `end` was called: nothing about the output will change any more."""
        return self._ended

    @property
    def status(self) -> ResponseStatus.ValueType:
        return self._response.status

    def start(self) -> list[ResponseEvent]:
        """The first two events."""
        snapshot = event_pb2.ResponseSnapshot(response=self._response)
        return [
            ResponseEvent(sequence_number=self._number(), created=snapshot),
            ResponseEvent(sequence_number=self._number(), in_progress=snapshot),
        ]

    def text(self, delta: str) -> list[ResponseEvent]:
        """The next piece of the answer; not empty. Takes time that does not depend on what came before."""
        assert delta, "an empty delta says nothing"
        assert not self._ended, "no text follows the end"
        opening = [] if self._open else self._open_message()
        self._pieces.append(delta)
        event = event_pb2.OutputTextDelta(
            item_id=self._item_id, output_index=_MESSAGE_INDEX, content_index=_MESSAGE_INDEX, delta=delta
        )
        return [*opening, ResponseEvent(sequence_number=self._number(), output_text_delta=event)]

    def end(self, ending: Ending, usage: usage_pb2.Usage) -> list[ResponseEvent]:
        """Gives the response its final state, and the events before the last one: the message is closed, and a
        failure told. An answer without a single character is a message with an empty text, unless it was broken off.
        """
        assert not self._ended, "a response ends once"
        events: list[ResponseEvent] = []
        if not self._open and isinstance(ending, Completed | LengthReached):
            events += self._open_message()
        if self._open:
            whole = isinstance(ending, Completed)
            status = ItemStatus.ITEM_STATUS_COMPLETED if whole else ItemStatus.ITEM_STATUS_INCOMPLETE
            events += self._close_message(status)
        self._ended = True
        self._response.usage.CopyFrom(usage)
        self._settle(ending)
        if isinstance(ending, Failed):
            events.append(self._error(ending))
        return events

    def fail(self, failure: Failed) -> ResponseEvent:
        """Turns an ending into a failure; the output stays. The `error` event that goes before the last one."""
        assert self._ended, "a response that runs fails by its end"
        for field in ("completed_at", "incomplete_details"):
            self._response.ClearField(field)
        self._settle(failure)
        return self._error(failure)

    def last_event(self) -> ResponseEvent:
        """The event that carries the final state."""
        assert self._ended, "the last event comes after the end"
        snapshot = event_pb2.ResponseSnapshot(response=self._response)
        number = self._number()
        if self._response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED:
            return ResponseEvent(sequence_number=number, completed=snapshot)
        if self._response.status == ResponseStatus.RESPONSE_STATUS_FAILED:
            return ResponseEvent(sequence_number=number, failed=snapshot)
        # A cancelled response has no event of its own: `incomplete` carries it.
        return ResponseEvent(sequence_number=number, incomplete=snapshot)

    def snapshot(self) -> Response:
        """The response as it stands, with the text so far; a copy."""
        response = Response()
        response.CopyFrom(self._response)
        if self._open and not self._ended:
            response.output.append(self._message(ItemStatus.ITEM_STATUS_IN_PROGRESS))
        return response

    def _settle(self, ending: Ending) -> None:
        self._response.status = _STATUS[type(ending)]
        if isinstance(ending, Completed):
            self._response.completed_at = ending.at
        elif isinstance(ending, Failed):
            self._response.error.CopyFrom(response_pb2.ResponseError(code=_SERVER_ERROR, message=ending.message))
        else:
            self._response.incomplete_details.reason = _INCOMPLETE_REASON[type(ending)]

    def _error(self, failure: Failed) -> ResponseEvent:
        error = event_pb2.ErrorEvent(type=_SERVER_ERROR, code=failure.code, message=failure.message)
        return ResponseEvent(sequence_number=self._number(), error=error)

    def _open_message(self) -> list[ResponseEvent]:
        self._open = True
        message = item_pb2.MessageItem(
            id=self._item_id, status=ItemStatus.ITEM_STATUS_IN_PROGRESS, role=item_pb2.Role.ROLE_ASSISTANT
        )
        item = event_pb2.OutputItemAdded(output_index=_MESSAGE_INDEX, item=item_pb2.Item(message=message))
        part = event_pb2.ContentPartAdded(
            item_id=self._item_id, output_index=_MESSAGE_INDEX, content_index=_MESSAGE_INDEX, part=_text_part("")
        )
        return [
            ResponseEvent(sequence_number=self._number(), output_item_added=item),
            ResponseEvent(sequence_number=self._number(), content_part_added=part),
        ]

    def _close_message(self, status: ItemStatus.ValueType) -> list[ResponseEvent]:
        item = self._message(status)
        self._response.output.append(item)
        part = item.message.content[_MESSAGE_INDEX]
        text_done = event_pb2.OutputTextDone(
            item_id=self._item_id,
            output_index=_MESSAGE_INDEX,
            content_index=_MESSAGE_INDEX,
            text=part.output_text.text,
        )
        part_done = event_pb2.ContentPartDone(
            item_id=self._item_id, output_index=_MESSAGE_INDEX, content_index=_MESSAGE_INDEX, part=part
        )
        item_done = event_pb2.OutputItemDone(output_index=_MESSAGE_INDEX, item=item)
        return [
            ResponseEvent(sequence_number=self._number(), output_text_done=text_done),
            ResponseEvent(sequence_number=self._number(), content_part_done=part_done),
            ResponseEvent(sequence_number=self._number(), output_item_done=item_done),
        ]

    def _message(self, status: ItemStatus.ValueType) -> item_pb2.Item:
        message = item_pb2.MessageItem(
            id=self._item_id,
            status=status,
            role=item_pb2.Role.ROLE_ASSISTANT,
            content=[_text_part("".join(self._pieces))],
        )
        return item_pb2.Item(message=message)

    def _number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number


def break_off(response: Response, message: str) -> None:
    """Ends a stored response that nobody generates any more, as failed: its open items become incomplete."""
    for item in response.output:
        body = getattr(item, item.WhichOneof("type") or "")
        if getattr(body, "status", None) == ItemStatus.ITEM_STATUS_IN_PROGRESS:
            body.status = ItemStatus.ITEM_STATUS_INCOMPLETE
    response.status = ResponseStatus.RESPONSE_STATUS_FAILED
    response.error.CopyFrom(response_pb2.ResponseError(code=_SERVER_ERROR, message=message))


def _text_part(text: str) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(output_text=content_pb2.OutputText(text=text))
