"""Follows the events of one response to its end, and makes an end where the service gave none. It knows no HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

from answerd.v1.event_pb2 import ErrorEvent, ResponseEvent, ResponseSnapshot
from answerd.v1.response_pb2 import Response, ResponseError, ResponseStatus
from answerd.v1.usage_pb2 import Usage
from common.told_items import ToldItems
from facade.client import EventStream
from facade.errors import SERVER_ERROR, ApiError, internal_error
from facade.events import SNAPSHOTS, TERMINAL
from facade.rpc_errors import CUT_OFF


class Follower:
    """The events of a stream, and what is known of the response meanwhile; at first that is `known`.

    `last`: the last event that was taken, of `taken` events. `ended`: whether a terminal one was seen, after which
    there are no more.
    """

    def __init__(self, stream: EventStream, known: Response | None = None) -> None:
        self._stream = stream
        self._response = known or Response()
        self._told = ToldItems(self._response.output)
        self.last: ResponseEvent | None = None
        self.taken = 0
        self.ended = False

    @property
    def response(self) -> Response:
        """As the last event that carried it has it."""
        return self._response

    @property
    def usage(self) -> Usage | None:
        """The tokens of the response, once it has ended."""
        return self._response.usage if self._response.HasField("usage") else None

    async def events(self, first: ResponseEvent) -> AsyncIterator[ResponseEvent]:
        """`first`, then the others up to the terminal one. Raises ApiError if the stream breaks off before that."""
        event: ResponseEvent | None = first
        while event is not None:
            self._note(event)
            yield event
            self.last, self.taken = event, self.taken + 1
            if self.ended:
                return
            event = await self._stream.read()
        raise ApiError("UNAVAILABLE", CUT_OFF)

    async def finish(self) -> None:
        """Lets the service close a stream whose events have ended."""
        if self.ended:
            await self._stream.finish()

    def broken(self, error: ApiError, request_id: str) -> list[ResponseEvent]:
        """The events that end a stream which `error` broke: items that are open are closed, what happened is told
        unless an `error` was told already, and the last one has the response as far as it was told."""
        number = self.last.sequence_number if self.last is not None else -1
        code = error.rule.code or SERVER_ERROR
        message = CUT_OFF if error.reason == "UNAVAILABLE" else error.message_for(request_id)
        failed = Response()
        failed.CopyFrom(self._response)
        failed.status = ResponseStatus.RESPONSE_STATUS_FAILED
        # What is told again may have ended otherwise.
        for field in ("completed_at", "incomplete_details"):
            failed.ClearField(field)
        failed.error.CopyFrom(ResponseError(code=SERVER_ERROR, message=message))
        events = self._told.close()
        if self.last is not None and self.last.HasField("error"):
            failed.error.message = self.last.error.message
        else:
            events.append(ResponseEvent(error=ErrorEvent(type=SERVER_ERROR, code=code, message=message)))
        del failed.output[:]
        failed.output.extend(self._told.items())
        events.append(ResponseEvent(failed=ResponseSnapshot(response=failed)))
        for place, event in enumerate(events, number + 1):
            event.sequence_number = place
        return events

    def _note(self, event: ResponseEvent) -> None:
        name = event.WhichOneof("event")
        if name not in SNAPSHOTS:
            self._told.note(event)
            return
        self._response = getattr(event, name).response
        self.ended = name in TERMINAL
        if name == "created":
            # All is told from here on, whatever was known.
            self._told = ToldItems()


async def first_event(stream: EventStream) -> ResponseEvent:
    """The first event; until it is here a failure is a status, raised as ApiError."""
    event = await stream.read()
    if event is None:
        raise internal_error("the service ended a stream without an event")
    return event
