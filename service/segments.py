"""Events as bytes for the store: a run of events of one response, one after the other. It knows no store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from answerd.v1.event_pb2 import ResponseEvent

_LENGTH_BYTES = 4  # of each event, before it, big end first


def pack(events: Sequence[ResponseEvent]) -> bytes:
    """Empty if there are no events."""
    pieces = (event.SerializeToString() for event in events)
    return b"".join(len(piece).to_bytes(_LENGTH_BYTES) + piece for piece in pieces)


def unpack(segments: Iterable[bytes]) -> list[ResponseEvent]:
    """The events of all segments, in their order."""
    events = []
    for segment in segments:
        start = 0
        while start < len(segment):
            begin = start + _LENGTH_BYTES
            start = begin + int.from_bytes(segment[start:begin])
            events.append(ResponseEvent.FromString(segment[begin:start]))
    return events
