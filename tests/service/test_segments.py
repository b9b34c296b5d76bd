"""Events come out of the store as they went in."""

from answerd.v1.event_pb2 import OutputTextDelta, ResponseEvent
from service.segments import pack, unpack


def test_segments_hold_their_events_in_order() -> None:
    events = [
        ResponseEvent(sequence_number=number, output_text_delta=OutputTextDelta(delta="x" * number * 300))
        for number in range(5)
    ]
    assert unpack([pack(events[:2]), pack(events[2:])]) == events
    assert unpack([]) == []


def test_no_events_are_no_bytes_and_an_empty_event_is_one() -> None:
    assert pack([]) == b""
    assert unpack([pack([ResponseEvent(), ResponseEvent()])]) == [ResponseEvent()] * 2
