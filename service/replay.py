"""The events of a response that has ended, from what the store has of it.

The last event is not stored with the others: it carries the response itself.
"""

from __future__ import annotations

from answerd.v1.event_pb2 import ResponseEvent, ResponseSnapshot
from answerd.v1.response_pb2 import Response, ResponseStatus
from service.lifecycle import terminal_event
from service.store import Replay
from service.stored import events_of, response_of


def replayed(replay: Replay) -> list[ResponseEvent]:
    """All events, as whoever read them while they happened saw them. Raises RecordDamaged."""
    response = response_of(replay.record)
    # Responses that were stored before events were: how they came about is not known any more.
    events = events_of(replay) or [_created(response)]
    return [*events, terminal_event(response, events[-1].sequence_number + 1)]


def _created(response: Response) -> ResponseEvent:
    snapshot = ResponseSnapshot(response=response)
    for field in ("output", "usage", "completed_at", "incomplete_details", "error"):
        snapshot.response.ClearField(field)
    snapshot.response.status = ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    return ResponseEvent(sequence_number=0, created=snapshot)
