"""Responses that are stored as running although nobody generates them: after a crash, or after a write that failed.

It knows the store and what a failed response looks like, not how responses are made.
"""

from collections.abc import Sequence

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ErrorEvent, ResponseEvent
from answerd.v1.response_pb2 import Response, ResponseError, ResponseStatus
from common.told_items import ToldItems
from service.echo import initial_response
from service.input_items import id_of
from service.lifecycle import SERVER_ERROR
from service.segments import pack
from service.status import status_name
from service.store import Record, Store
from service.store.errors import RecordDamaged
from service.stored import events_of, response_of

CRASHED = "the server stopped while this response was running"
LAST_WRITE_FAILED = "the end of this response could not be stored"
# Events that were sent after the last write are lost, but their readers know their numbers. Those of the recovery begin
# further on than any response comes, so no number ever stands for two events.
NUMBERS_SKIPPED = 1_000_000_000


async def fail_unfinished(store: Store) -> int:
    """Ends every unfinished record as failed, with what was generated; how many there were. Raises StoreError.

    For the start, when nothing runs yet.
    """
    records = await store.unfinished()
    for record in records:
        await fail_record(store, record, CRASHED)
    return len(records)


async def fail_record(store: Store, record: Record, message: str) -> Response | None:
    """Ends one record as failed and returns its response; None if it has ended meanwhile. Raises StoreError.

    Of a damaged record only the id, the parent and the time are left.
    """
    events = await _events(store, record)
    response = _readable(record)
    last = _break_off(response, events, message)
    if events:
        for number, event in enumerate(last, events[-1].sequence_number + 1 + NUMBERS_SKIPPED):
            event.sequence_number = number
    status = status_name(response.status)
    segment = pack(last) if events else b""
    made = [id_of(item) for item in response.output]
    ended = await store.finish(record.id, status, response.SerializeToString(), segment, made)
    return response if ended else None


async def _events(store: Store, record: Record) -> list[ResponseEvent]:
    """Those that were written; none where they are damaged, too."""
    try:
        replay = await store.replay(record.owner, record.id)
        return events_of(replay) if replay is not None else []
    except RecordDamaged:
        return []


def _readable(record: Record) -> Response:
    """The response of a record, or, if that is damaged, one that says what the record itself knows."""
    try:
        return response_of(record)
    except RecordDamaged:
        request = CreateResponseRequest(previous_response_id=record.parent_id)
        return initial_response(request, id=record.id, model="", created_at=record.created_at)


def _break_off(response: Response, events: Sequence[ResponseEvent], message: str) -> list[ResponseEvent]:
    """Makes it a failed one that has said what its events say, its open items incomplete; the events of that, but for
    the last."""
    # A response that has no events was stored by a version that wrote the text into the response itself.
    told = ToldItems(() if events else response.output)
    for event in events:
        told.note(event)
    closing = told.close()
    items = told.items()
    del response.output[:]
    response.output.extend(items)
    response.status = ResponseStatus.RESPONSE_STATUS_FAILED
    response.error.CopyFrom(ResponseError(code=SERVER_ERROR, message=message))
    error = ErrorEvent(type=SERVER_ERROR, code=SERVER_ERROR, message=message)
    return [*closing, ResponseEvent(error=error)]
