"""The checker of event order takes good streams and notices every way in which one can be broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.event_order import EventOrderError, check_events

Events = list[dict[str, Any]]


def part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def item(text: str | None, status: str = "completed") -> dict[str, Any]:
    content = [] if text is None else [part(text)]
    return {"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content}


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "resp_1", "status": status, "output": output}


def numbered(*events: dict[str, Any]) -> Events:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def good() -> Events:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return numbered(
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.in_progress", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "output_index": 0, "item": item(None, "in_progress")},
        {"type": "response.content_part.added", "part": part(""), **place},
        {"type": "response.output_text.delta", "delta": "Hel", **place},
        {"type": "response.output_text.delta", "delta": "lo", **place},
        {"type": "response.output_text.done", "text": "Hello", **place},
        {"type": "response.content_part.done", "part": part("Hello"), **place},
        {"type": "response.output_item.done", "output_index": 0, "item": item("Hello")},
        {"type": "response.completed", "response": response("completed", [item("Hello")])},
    )


def call_stream() -> Events:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
    place = {"item_id": "fc_1", "output_index": 0}
    done = {**call, "status": "completed"}
    return numbered(
        {"type": "response.created", "response": response("in_progress", [])},
        {"type": "response.output_item.added", "item": {**done, "arguments": "", "status": "in_progress"}, **place},
        {"type": "response.function_call_arguments.delta", "delta": "{}", **place},
        {"type": "response.function_call_arguments.done", "arguments": "{}", **place},
        {"type": "response.output_item.done", "item": done, **place},
        {"type": "response.completed", "response": response("completed", [done])},
    )


def test_a_good_stream_passes() -> None:
    check_events(good())


def test_a_function_call_needs_no_part() -> None:
    check_events(call_stream())


def test_a_failed_stream_may_leave_items_open() -> None:
    end = {"type": "response.failed", "response": response("failed", [])}
    check_events(numbered(*good()[:5], {"type": "error"}, end))


def test_a_cancelled_response_is_incomplete_on_the_stream() -> None:
    cut = [*good()[:8], {**good()[8], "item": item("Hello", "incomplete")}]
    output = [item("Hello", "incomplete")]
    check_events(numbered(*cut, {"type": "response.incomplete", "response": response("cancelled", output)}))


def without(*places: int) -> Callable[[Events], Events]:
    return lambda events: numbered(*(event for place, event in enumerate(events) if place not in places))


def repeated(place: int) -> Callable[[Events], Events]:
    return lambda events: numbered(*events[: place + 1], copy.deepcopy(events[place]), *events[place + 1 :])


def swapped(first: int, second: int) -> Callable[[Events], Events]:
    def swap(events: Events) -> Events:
        events[first], events[second] = events[second], events[first]
        return numbered(*events)

    return swap


def changed(place: int, *path: str, to: Any) -> Callable[[Events], Events]:
    def change(events: Events) -> Events:
        inner = events[place]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        return events

    return change


BROKEN: dict[str, Callable[[Events], Events]] = {
    "it is empty": lambda _: [],
    "nothing is created": without(0),
    "it is created twice": repeated(0),
    "created is late": swapped(0, 1),
    "created has output": changed(0, "response", "output", to=[item("")]),
    "it never ends": without(9),
    "it ends twice": repeated(9),
    "something follows the end": lambda events: numbered(*events, events[1]),
    "a number is skipped": changed(5, "sequence_number", to=6),
    "a number comes twice": changed(5, "sequence_number", to=4),
    "numbers begin at 1": lambda events: [{**event, "sequence_number": n + 1} for n, event in enumerate(events)],
    "the response's id changes": changed(9, "response", "id", to="resp_2"),
    "the status is not that of the event": changed(9, "response", "status", to="failed"),
    "an item is not opened": without(2),
    "an item is opened twice": repeated(2),
    "an item is opened as done": changed(2, "item", "status", to="completed"),
    "an output_index is skipped": changed(2, "output_index", to=1),
    "an item is not ended": without(8),
    "an item is ended twice": repeated(8),
    "an item's id changes": changed(8, "item", "id", to="msg_2"),
    "an item's status is that of no ended item": changed(8, "item", "status", to="failed"),
    "an item says something else": changed(8, "item", "content", to=[part("Bye")]),
    "the output says something else": changed(9, "response", "output", to=[item("Bye")]),
    "the output is empty": changed(9, "response", "output", to=[]),
    "a part is not opened": without(3),
    "a part is opened twice": repeated(3),
    "a part is opened with text": changed(3, "part", "text", to="H"),
    "a part is not ended": without(7),
    "a part is ended before its text": swapped(6, 7),
    "a part has another text": changed(7, "part", "text", to="Bye"),
    "a part ends as another kind": changed(7, "part", "type", to="refusal"),
    "a delta is missing": without(4),
    "a delta comes twice": repeated(4),
    "deltas are swapped": swapped(4, 5),
    "a delta comes after the whole text": swapped(5, 6),
    "a delta belongs to another item": changed(4, "item_id", to="msg_2"),
    "a delta belongs to another part": changed(4, "content_index", to=1),
    "the text does not end": without(6),
    "the whole text is another": changed(6, "text", to="Bye"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_noticed(name: str) -> None:
    with pytest.raises(EventOrderError):
        check_events(BROKEN[name](good()))


@pytest.mark.parametrize("key", ["call_id", "name", "id", "arguments"])
def test_a_call_that_changes_is_noticed(key: str) -> None:
    events = call_stream()
    events[4]["item"] = {**events[4]["item"], key: "other"}
    with pytest.raises(EventOrderError):
        check_events(events)
