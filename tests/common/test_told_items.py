"""An output that is put together from its events is the output that they tell of, at every moment."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item, ItemStatus
from answerd.v1.logprob_pb2 import LogProb
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.usage_pb2 import Usage
from common.told_items import ToldItems
from service.lifecycle import Cancelled, Lifecycle
from service.output.pieces import CallArguments, CallBegin, CallEnd, Piece, Text, Thought
from tests.service.served import names

# What each of two choices says, piece by piece.
SAID: list[tuple[int, Piece]] = [
    (0, Thought("h")),
    (0, Thought("m")),
    (0, Text("Hel", 0)),
    (1, Text("An", 0)),
    (0, Text("lo", 3)),
    (1, Text("other", 2)),
    (0, CallBegin("add")),
    (0, CallArguments('{"a"')),
    (0, CallArguments(":1}")),
    (0, CallEnd()),
    (0, Text("end", 5)),
]


def moments(told: ToldItems) -> Iterator[Lifecycle]:
    """A response after each thing that happens to it and was told."""
    lifecycle = Lifecycle(Response(status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS), choices=2)
    note(told, lifecycle.start())
    yield lifecycle
    for choice, piece in SAID:
        logprobs = [LogProb(token=piece.text, logprob=-0.5)] if isinstance(piece, Text) else []
        note(told, lifecycle.take(piece, logprobs, choice))
        yield lifecycle


def note(told: ToldItems, events: list[ResponseEvent]) -> None:
    for event in events:
        told.note(event)


def test_at_every_moment_the_items_are_those_of_the_response() -> None:
    told = ToldItems()
    for lifecycle in moments(told):
        assert told.items() == list(lifecycle.snapshot().output)
    assert [item.WhichOneof("type") for item in told.items()] == [
        "reasoning",
        "message",
        "message",
        "function_call",
        "message",
    ]


def index_of(event: ResponseEvent) -> int:
    index: int = getattr(event, event.WhichOneof("event") or "").output_index
    return index


@pytest.mark.parametrize("moment", range(len(SAID) + 1))
def test_items_that_nobody_finished_end_as_the_response_would_end_them(moment: int) -> None:
    told = ToldItems()
    *_, lifecycle = islice(moments(told), moment + 1)
    ended = lifecycle.end(Cancelled(), Usage())
    for event in ended:
        event.ClearField("sequence_number")
    # A response ends choice by choice; which item belongs to which, nobody told.
    assert told.close() == sorted(ended, key=index_of)
    assert told.items() == list(lifecycle.snapshot().output)


def test_what_was_told_of_an_end_is_not_told_again() -> None:
    lifecycle = Lifecycle(Response(status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS))
    events = [*lifecycle.take(Text("hello", 0)), *lifecycle.end(Cancelled(), Usage())]
    assert names(events)[-3:] == ["output_text_done", "content_part_done", "output_item_done"]
    for missing in range(4):
        told = ToldItems()
        note(told, events[: len(events) - missing])
        assert names(told.close()) == names(events)[len(events) - missing :]
        assert told.items() == list(lifecycle.snapshot().output)


def test_an_item_whose_beginning_was_told_elsewhere_stays_as_it_was_known_until_it_is_done() -> None:
    lifecycle = Lifecycle(Response(status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS))
    lifecycle.take(Text("hel", 0))
    told = ToldItems(lifecycle.snapshot().output)
    later = [*lifecycle.take(Text("lo", 3)), *lifecycle.end(Cancelled(), Usage())]
    note(told, later[:1])
    assert told.close() == []
    [item] = told.items()
    assert (item.message.content[0].output_text.text, item.message.status) == ("hel", ItemStatus.ITEM_STATUS_INCOMPLETE)
    note(told, later)
    assert told.items() == list(lifecycle.snapshot().output)


def test_an_item_of_a_kind_that_only_a_newer_version_knows_stays_as_it_is() -> None:
    unknown = Item.FromString(b"\xaa\x06\x02\x08\x01")  # field 101, a message
    event = ResponseEvent()
    event.output_item_added.item.CopyFrom(unknown)
    told = ToldItems()
    told.note(event)
    assert (told.close(), told.items()) == ([], [unknown])
