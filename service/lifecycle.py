"""The life of one response as a pure state machine: text and an ending in, typed and numbered events out.

It knows neither clocks nor gRPC nor asyncio nor where responses are kept; "now" is an argument. The order of the
events is that of the Open Responses specification, release 2026-04-24.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from answerd.v1 import event_pb2, response_pb2, usage_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item
from answerd.v1.logprob_pb2 import LogProb
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from service.ids import new_item_id
from service.output.answer import Answer, NewId
from service.output.growing_item import GrowingItem
from service.output.pieces import Piece

SERVER_ERROR = "server_error"


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
    """One response with the items of each choice, from `created` to its last event.

    The calls are `start`, `begin`, any number of `take` and, for a choice that ends before others, `close`, one `end`,
    then `last_event`. Between `end` and `last_event`, `fail` may turn the ending into a failure: the answer is whole,
    but something after the generation went wrong.
    """

    def __init__(self, response: Response, choices: int = 1, new_id: NewId = new_item_id) -> None:
        """response: as admitted, queued or in progress, and without output; it is copied."""
        self._response = Response()
        self._response.CopyFrom(response)
        self._output: list[GrowingItem] = []  # in the order of output_index
        self._answers = [Answer(self._output, new_id) for _ in range(choices)]
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
        """The first two events: the second says whether it is queued or in progress."""
        snapshot = event_pb2.ResponseSnapshot(response=self._response)
        queued = self._response.status == ResponseStatus.RESPONSE_STATUS_QUEUED
        second = ResponseEvent(queued=snapshot) if queued else ResponseEvent(in_progress=snapshot)
        return self._numbered([ResponseEvent(created=snapshot), second])

    def begin(self) -> list[ResponseEvent]:
        """The model reads or writes. The event that says so, if the response was queued until now."""
        if self._response.status != ResponseStatus.RESPONSE_STATUS_QUEUED:
            return []
        self._response.status = ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
        return self._numbered([ResponseEvent(in_progress=event_pb2.ResponseSnapshot(response=self._response))])

    def is_next(self, choice: int) -> bool:
        """Whether the choice may open items: those of several choices follow each other, each choice's message after
        its thoughts, so that a reader can tell the choices apart."""
        return all(answer.has_message or answer.closed for answer in self._answers[:choice])

    def take(self, piece: Piece, logprobs: Sequence[LogProb] = (), choice: int = 0) -> list[ResponseEvent]:
        """The next piece of an answer. Takes time that does not depend on what came before."""
        assert not self._ended, "nothing is said after the end"
        return self._numbered(self._answers[choice].take(piece, logprobs))

    def close(self, choice: int, *, whole: bool) -> list[ResponseEvent]:
        """A choice has ended, by itself or because its budget was used up. Each of several choices has a message. Only
        the first call counts."""
        return self._numbered(self._answers[choice].close(whole=whole, always_message=len(self._answers) > 1))

    def end(self, ending: Ending, usage: usage_pb2.Usage) -> list[ResponseEvent]:
        """Gives the response its final state, and the events before the last one: items that are still open are
        closed, and a failure told. What was broken off before its first text leaves no item.
        """
        assert not self._ended, "a response ends once"
        events: list[ResponseEvent] = []
        for choice, answer in enumerate(self._answers):
            if isinstance(ending, Completed | LengthReached):
                events += self.close(choice, whole=isinstance(ending, Completed))
            else:
                events += self._numbered(answer.break_off())
        self._ended = True
        self._response.output.extend(self._items())
        self._response.usage.CopyFrom(usage)
        self._settle(ending)
        if isinstance(ending, Failed):
            events += self._numbered([_error(ending)])
        return events

    def fail(self, failure: Failed) -> ResponseEvent:
        """Turns an ending into a failure; the output stays. The `error` event that goes before the last one."""
        assert self._ended, "a response that runs fails by its end"
        for field in ("completed_at", "incomplete_details"):
            self._response.ClearField(field)
        self._settle(failure)
        [event] = self._numbered([_error(failure)])
        return event

    def last_event(self) -> ResponseEvent:
        """The event that carries the final state."""
        assert self._ended, "the last event comes after the end"
        return terminal_event(self._response, self._number())

    def snapshot(self) -> Response:
        """The response as it stands, with the text so far; a copy."""
        response = Response()
        response.CopyFrom(self._response)
        if not self._ended:
            response.output.extend(self._items())
        return response

    def _settle(self, ending: Ending) -> None:
        self._response.status = _STATUS[type(ending)]
        if isinstance(ending, Completed):
            self._response.completed_at = ending.at
        elif isinstance(ending, Failed):
            self._response.error.CopyFrom(response_pb2.ResponseError(code=SERVER_ERROR, message=ending.message))
        else:
            self._response.incomplete_details.reason = _INCOMPLETE_REASON[type(ending)]

    def _items(self) -> list[Item]:
        return [item.item() for item in self._output]

    def _numbered(self, events: list[ResponseEvent]) -> list[ResponseEvent]:
        for event in events:
            event.sequence_number = self._number()
        return events

    def _number(self) -> int:
        number = self._next_number
        self._next_number += 1
        return number


def terminal_event(response: Response, number: int) -> ResponseEvent:
    """The last event of a response that has ended."""
    snapshot = event_pb2.ResponseSnapshot(response=response)
    if response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED:
        return ResponseEvent(sequence_number=number, completed=snapshot)
    if response.status == ResponseStatus.RESPONSE_STATUS_FAILED:
        return ResponseEvent(sequence_number=number, failed=snapshot)
    # A cancelled response has no event of its own: `incomplete` carries it.
    return ResponseEvent(sequence_number=number, incomplete=snapshot)


def _error(failure: Failed) -> ResponseEvent:
    return ResponseEvent(error=event_pb2.ErrorEvent(type=SERVER_ERROR, code=failure.code, message=failure.message))
