"""From pieces to items: each kind of piece has its own events, and each item its place."""

from __future__ import annotations

from collections.abc import Iterable

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item, ItemStatus
from service.output.answer import Answer
from service.output.growing_item import GrowingItem
from service.output.pieces import CallArguments, CallBegin, CallEnd, Piece, Text, Thought

COMPLETED, INCOMPLETE = ItemStatus.ITEM_STATUS_COMPLETED, ItemStatus.ITEM_STATUS_INCOMPLETE
MESSAGE = ["output_item_added", "content_part_added", "output_text_delta"]
MESSAGE_DONE = ["output_text_done", "content_part_done", "output_item_done"]
REASONING = ["output_item_added", "content_part_added", "reasoning_text_delta"]
REASONING_DONE = ["reasoning_text_done", "content_part_done", "output_item_done"]
CALL = ["output_item_added", "function_call_arguments_delta"]
CALL_DONE = ["function_call_arguments_done", "output_item_done"]
ADD: list[Piece] = [CallBegin("add"), CallArguments("{}"), CallEnd()]


class Told:
    """Everything that one answer of these pieces tells, and its items."""

    def __init__(self, pieces: Iterable[Piece], *, whole: bool = True, always_message: bool = False) -> None:
        output: list[GrowingItem] = []
        answer = Answer(output, lambda kind: f"{kind}_{len(output)}")
        self.events: list[ResponseEvent] = [event for piece in pieces for event in answer.take(piece)]
        self.events += answer.close(whole=whole, always_message=always_message)
        self.items: list[Item] = [item.item() for item in output]

    @property
    def names(self) -> list[str]:
        return [event.WhichOneof("event") or "" for event in self.events]

    @property
    def kinds(self) -> list[str]:
        return [item.WhichOneof("type") or "" for item in self.items]

    @property
    def statuses(self) -> list[ItemStatus.ValueType]:
        return [getattr(item, item.WhichOneof("type") or "").status for item in self.items]


def test_a_thought_is_closed_before_the_words_open() -> None:
    told = Told([Thought("I "), Thought("see."), Text("Yes.", 9)])
    assert told.names == [*REASONING, "reasoning_text_delta", *REASONING_DONE, *MESSAGE, *MESSAGE_DONE]
    assert told.items[0].reasoning.content[0].reasoning_text.text == "I see."
    assert told.items[1].message.content[0].output_text.text == "Yes."


def test_words_before_calls_have_an_item_of_their_own() -> None:
    told = Told([Text("Wait.", 0), *ADD, *ADD])
    assert told.names == [*MESSAGE, *MESSAGE_DONE, *CALL, *CALL_DONE, *CALL, *CALL_DONE]
    assert told.kinds == ["message", "function_call", "function_call"]
    assert told.statuses == [COMPLETED] * 3


def test_each_item_has_the_next_place_and_keeps_its_identity() -> None:
    told = Told([Thought("x"), Text("y", 3), *ADD])
    added = [event.output_item_added for event in told.events if event.HasField("output_item_added")]
    done = [event.output_item_done for event in told.events if event.HasField("output_item_done")]
    assert [each.output_index for each in added] == [each.output_index for each in done] == [0, 1, 2]
    assert [each.item for each in done] == told.items
    call = told.items[2].function_call
    assert (call.id, call.call_id, call.name, call.arguments) == (
        "function_call_2",
        "call_function_call_2",
        "add",
        "{}",
    )
    assert added[2].item.function_call.call_id == call.call_id
    assert added[2].item.function_call.arguments == ""


def test_the_end_of_arguments_names_the_function() -> None:
    [done] = [event for event in Told(ADD).events if event.HasField("function_call_arguments_done")]
    assert done.function_call_arguments_done.name == "add"
    assert done.function_call_arguments_done.arguments == "{}"


def test_a_call_that_is_cut_off_is_incomplete_with_a_part_of_its_arguments() -> None:
    told = Told([Text("Wait.", 0), CallBegin("add"), CallArguments('{"a')], whole=False)
    assert told.statuses == [COMPLETED, INCOMPLETE]
    assert told.items[1].function_call.arguments == '{"a'
    assert told.names[-2:] == CALL_DONE


def test_calls_have_no_empty_message_beside_them() -> None:
    assert Told(ADD).kinds == ["function_call"]
    assert Told(ADD, whole=False).kinds == ["function_call"]


def test_an_answer_without_words_is_an_empty_message() -> None:
    assert Told([]).names == [name for name in MESSAGE + MESSAGE_DONE if name != "output_text_delta"]
    assert Told([], whole=False).statuses == [INCOMPLETE]
    assert Told([Thought("x")]).kinds == ["reasoning", "message"]


def test_an_answer_that_is_cut_off_within_a_thought_ends_with_it() -> None:
    told = Told([Thought("x")], whole=False)
    assert (told.kinds, told.statuses) == (["reasoning"], [INCOMPLETE])


def test_each_of_several_answers_has_a_message() -> None:
    told = Told([Thought("x")], whole=False, always_message=True)
    assert (told.kinds, told.statuses) == (["reasoning", "message"], [INCOMPLETE, INCOMPLETE])
