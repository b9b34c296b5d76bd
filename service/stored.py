"""What a record of the store says, as messages. Damage that the database does not see is told with the record's id.

It knows what the bytes of a record mean, not where they lie.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

from google.protobuf.message import DecodeError

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_pb2 import ItemList
from answerd.v1.response_pb2 import Response
from common.logging import get_logger
from service.segments import unpack
from service.store import Replay
from service.store.errors import RecordDamaged

log = get_logger("service.stored")


class StoredTurn(Protocol):
    """A turn as it is stored: its own input as a serialised ItemList, its result as a serialised Response."""

    @property
    def id(self) -> str: ...
    @property
    def request(self) -> bytes: ...
    @property
    def response(self) -> bytes: ...


def input_of(turn: StoredTurn) -> ItemList:
    """Raises RecordDamaged."""
    try:
        return ItemList.FromString(turn.request)
    except DecodeError:
        raise _damaged(turn.id, "input") from None


def response_of(turn: StoredTurn) -> Response:
    """Raises RecordDamaged."""
    try:
        response = Response.FromString(turn.response)
    except DecodeError:
        raise _damaged(turn.id, "response") from None
    # Cut off at the right place, a message is one still; only its id is never left out.
    if response.id != turn.id:
        raise _damaged(turn.id, "response")
    return response


def events_of(replay: Replay) -> list[ResponseEvent]:
    """All but the last one, which is the response's own. Raises RecordDamaged."""
    try:
        events = unpack(replay.segments)
    except DecodeError:
        raise _damaged(replay.record.id, "events") from None
    # Where a length is wrong, what is cut out may be an event still; their numbers tell.
    if any(event.sequence_number <= before.sequence_number for before, event in pairwise(events)):
        raise _damaged(replay.record.id, "events")
    return events


def _damaged(id: str, part: str) -> RecordDamaged:
    log.error("a record of the store is damaged", response_id=id, part=part)
    return RecordDamaged(id)
