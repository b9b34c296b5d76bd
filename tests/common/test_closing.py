"""Items that nobody finishes end as those do whose response is cut off while it runs."""

from __future__ import annotations

from answerd.v1.content_pb2 import ContentPart, OutputText, ReasoningText, Refusal
from answerd.v1.item_pb2 import FunctionCallItem, Item, ItemStatus, MessageItem, ReasoningItem
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.usage_pb2 import Usage
from common.closing import close_item
from service.lifecycle import Cancelled, Lifecycle
from service.output.pieces import Text
from tests.service.served import names

RUNNING = ItemStatus.ITEM_STATUS_IN_PROGRESS


def test_a_message_ends_as_the_lifecycle_ends_it() -> None:
    lifecycle = Lifecycle(Response(status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS), choices=2)
    lifecycle.start()
    lifecycle.take(Text("one", 0))
    lifecycle.take(Text("two", 0), choice=1)
    items = lifecycle.snapshot().output
    closed = [event for index, item in enumerate(items) for event in close_item(item, index)]
    expected = lifecycle.end(Cancelled(), Usage())
    for event in expected:
        event.ClearField("sequence_number")
    assert closed == expected


def test_an_item_that_has_ended_is_left_as_it_is() -> None:
    item = Item(message=MessageItem(id="msg_1", status=ItemStatus.ITEM_STATUS_COMPLETED))
    assert close_item(item, 0) == []
    assert item.message.status == ItemStatus.ITEM_STATUS_COMPLETED


def test_an_item_of_a_kind_that_only_a_newer_version_knows_is_left_as_it_is() -> None:
    unknown = b"\xaa\x06\x02\x08\x01"  # field 101, a message
    item = Item.FromString(unknown)
    assert close_item(item, 0) == []
    assert item.SerializeToString() == unknown


def test_every_kind_of_item_ends_with_what_it_holds() -> None:
    call = Item(function_call=FunctionCallItem(id="fc_1", status=RUNNING, name="f", arguments='{"a'))
    events = close_item(call, 2)
    assert names(events) == ["function_call_arguments_done", "output_item_done"]
    assert events[0].function_call_arguments_done.arguments == '{"a'
    assert events[1].output_item_done.item.function_call.status == ItemStatus.ITEM_STATUS_INCOMPLETE

    thought = ContentPart(reasoning_text=ReasoningText(text="hm"))
    thinking = Item(reasoning=ReasoningItem(id="rs_1", status=RUNNING, content=[thought]))
    events = close_item(thinking, 0)
    assert names(events) == ["reasoning_text_done", "content_part_done", "output_item_done"]
    assert events[0].reasoning_text_done.text == "hm"

    parts = [ContentPart(output_text=OutputText(text="a")), ContentPart(refusal=Refusal(refusal="no"))]
    events = close_item(Item(message=MessageItem(id="msg_1", status=RUNNING, content=parts)), 1)
    assert names(events)[:4] == ["output_text_done", "content_part_done", "refusal_done", "content_part_done"]
    assert events[2].refusal_done.refusal == "no"
    assert events[3].content_part_done.content_index == 1
