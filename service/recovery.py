"""Responses that are stored as running although nobody generates them: after a crash, or after a write that failed.

It knows the store and what a failed response looks like, not how responses are made.
"""

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.response_pb2 import Response
from service.echo import initial_response
from service.lifecycle import break_off
from service.status import status_name
from service.store import Record, Store
from service.store.errors import RecordDamaged
from service.stored import response_of

CRASHED = "the server stopped while this response was running"
LAST_WRITE_FAILED = "the end of this response could not be stored"


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
    response = _readable(record)
    break_off(response, message)
    status = status_name(response.status)
    return response if await store.finish(record.id, status, response.SerializeToString()) else None


def _readable(record: Record) -> Response:
    """The response of a record, or, if that is damaged, one that says what the record itself knows."""
    try:
        return response_of(record)
    except RecordDamaged:
        request = CreateResponseRequest(previous_response_id=record.parent_id)
        return initial_response(request, id=record.id, model="", created_at=record.created_at)
