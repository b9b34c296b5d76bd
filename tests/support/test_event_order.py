"""The checker of event order takes good streams and notices every way in which one can be broken."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.event_order import EventOrderError, check_beginning, check_events, check_rest
from tests.support.sample_streams import (
    Events,
    call_stream,
    cut_stream,
    failed_stream,
    message,
    numbered,
    part,
    state,
    text_stream,
    thoughts_stream,
)

Break = Callable[[Events], Events]
GOOD = {
    "text": text_stream(),
    "cut": cut_stream("incomplete"),
    "cancelled": cut_stream("cancelled"),
    "failed": failed_stream(),
    "call": call_stream(),
    "thoughts": thoughts_stream(),
    "thoughts as Open Responses names them": thoughts_stream("response.reasoning"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_stream_passes_whole_and_up_to_any_event(name: str) -> None:
    check_events(GOOD[name])
    for length in range(len(GOOD[name])):
        check_beginning(GOOD[name][:length])
        check_rest(GOOD[name][length:])


def test_a_response_may_be_told_in_short() -> None:
    check_events(numbered(text_stream()[0], text_stream()[-1]))


def test_a_response_may_wait_before_it_begins() -> None:
    queued = [state("queued", [], "created"), state("queued", [])]
    check_events(numbered(*queued, *text_stream()[1:]))


def test_a_failed_stream_may_leave_items_open() -> None:
    *_, error, end = failed_stream()
    end = {**end, "response": {**end["response"], "output": []}}
    check_events(numbered(*text_stream()[:5], error, end))


def test_a_crash_leaves_a_gap_of_one_size() -> None:
    *begun, error, end = failed_stream()
    for skipped in (1_000_000_000, 1_000_000_001):
        late = [{**event, "sequence_number": event["sequence_number"] + skipped} for event in (error, end)]
        if skipped == 1_000_000_000:
            check_events([*begun, *late])
        else:
            with pytest.raises(EventOrderError, match="sequence number"):
                check_events([*begun, *late])


def without(*places: int) -> Break:
    return lambda events: numbered(*(event for place, event in enumerate(events) if place not in places))


def repeated(place: int) -> Break:
    return lambda events: numbered(*events[: place + 1], copy.deepcopy(events[place]), *events[place + 1 :])


def swapped(first: int, second: int) -> Break:
    def swap(events: Events) -> Events:
        events[first], events[second] = events[second], events[first]
        return numbered(*events)

    return swap


def changed(place: int, *path: str, to: Any) -> Break:
    def change(events: Events) -> Events:
        inner = events[place]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        return events

    return change


def both(*breaks: Break) -> Break:
    def change(events: Events) -> Events:
        for each in breaks:
            events = each(events)
        return events

    return change


# Of the stream of a text: what is done to it, and what the checker says.
BROKEN: dict[str, tuple[Break, str]] = {
    "it is empty": (lambda _: [], "empty"),
    "nothing is created": (without(0), "`created` is not the first"),
    "it is created twice": (repeated(0), "`created` is not the first"),
    "created is late": (swapped(0, 1), "`created` is not the first"),
    "created has output": (changed(0, "response", "output", to=[message([])]), "created has output"),
    "created has ended": (changed(0, "response", "status", to="completed"), "status is not that of the event"),
    "in_progress comes twice": (repeated(1), "out of order"),
    "it waits after it began": (lambda e: numbered(*e[:2], state("queued", []), *e[2:]), "out of order"),
    "in_progress comes after an item": (swapped(1, 2), "after an item"),
    "usage is told too early": (changed(1, "response", "usage", to={}), "has not ended has"),
    "it never ends": (without(9), "not a terminal one"),
    "it ends twice": (repeated(9), "follows the terminal"),
    "something follows the end": (lambda e: numbered(*e, e[1]), "not a terminal one"),
    "something lies between two ends": (lambda e: numbered(*e, e[1], e[9]), "follows the terminal"),
    "a number is skipped": (changed(5, "sequence_number", to=6), "sequence number 6"),
    "a number comes twice": (changed(5, "sequence_number", to=4), "sequence number 4"),
    "numbers begin at 1": (lambda e: [{**each, "sequence_number": n + 1} for n, each in enumerate(e)], "number 1"),
    "an event is of no known type": (changed(5, "type", to="response.trace"), "no known type"),
    "the response's id changes": (changed(9, "response", "id", to="resp_2"), "response's id changes"),
    "the response's model changes": (changed(1, "response", "model", to="n"), "response's model changes"),
    "the status is not that of the event": (changed(9, "response", "status", to="failed"), "status is not that"),
    "it completed at no time": (changed(9, "response", "completed_at", to=None), "completed_at does not go"),
    "it has completed with an error": (changed(9, "response", "error", to={}), "error does not go"),
    "it has completed for a reason": (changed(9, "response", "incomplete_details", to={}), "incomplete_details does"),
    "its tokens are not told": (changed(9, "response", "usage", to=None), "no usage"),
    "an item is not opened": (without(2), "outside of its item"),
    "an item is opened twice": (repeated(2), "output_index is skipped or used"),
    "an item is opened as done": (changed(2, "item", "status", to="completed"), "not in progress"),
    "an item is opened with content": (changed(2, "item", "content", to=[part("H")]), "says something already"),
    "an output_index is skipped": (changed(2, "output_index", to=1), "output_index is skipped"),
    "two items have one id": (lambda e: numbered(*e[:9], {**e[2], "output_index": 1}, e[9]), "two items have one id"),
    "an item is not ended": (without(8), "left open"),
    "an item is ended twice": (repeated(8), "was not added, or twice"),
    "an item's id changes": (changed(8, "item", "id", to="msg_2"), "identity changes"),
    "an item's status is that of no ended item": (changed(8, "item", "status", to="failed"), "no such status"),
    "an item says something else": (changed(8, "item", "content", to=[part("Bye")]), "content is not the parts"),
    "the output says something else": (changed(9, "response", "output", to=[message([part("Bye")])]), "not the items"),
    "the output is empty": (changed(9, "response", "output", to=[]), "not the items"),
    "a completed response was cut": (
        lambda e: numbered(*cut_stream("incomplete")[:9], state("completed", [cut_stream("incomplete")[8]["item"]])),
        "an incomplete item",
    ),
    "a part is not opened": (without(3), "without its part"),
    "a part is opened twice": (repeated(3), "before the last one is done"),
    "a part is opened with text": (changed(3, "part", "text", to="H"), "says something already"),
    "a part is of a kind that the item cannot have": (changed(3, "part", "type", to="reasoning_text"), "no place in"),
    "a part is not ended": (without(7), "ends before its parts"),
    "a part is ended before its text": (swapped(6, 7), "ends before its text"),
    "a part is ended twice": (repeated(7), "index of a part"),
    "a part has another text": (changed(7, "part", "text", to="Bye"), "part's text is not"),
    "a part has other logprobs": (changed(7, "part", "logprobs", to=[]), "part's logprobs"),
    "a part ends as another kind": (changed(7, "part", "type", to="refusal"), "another kind"),
    "a part's index is skipped": (changed(3, "content_index", to=1), "index of a part"),
    "a delta is missing": (without(4), "do not make up"),
    "a delta comes twice": (repeated(4), "do not make up"),
    "deltas are swapped": (swapped(4, 5), "do not make up"),
    "a delta comes after the whole text": (swapped(5, 6), "do not make up"),
    "a delta follows the whole text": (lambda e: numbered(*e[:7], e[5], *e[7:]), "after its end"),
    "a delta has no logprobs": (lambda e: numbered(*e[:5], {**e[5], "logprobs": None}, *e[6:]), "no list of logprobs"),
    "a delta belongs to another item": (changed(4, "item_id", to="msg_2"), "outside of its item"),
    "a delta belongs to another part": (changed(4, "content_index", to=1), "another part"),
    "a delta is of another kind": (changed(4, "type", to="response.refusal.delta"), "refusal in a output_text"),
    "arguments stand in a message": (changed(4, "type", to="response.function_call_arguments.delta"), "arguments in a"),
    "the text does not end": (without(6), "ends before its text"),
    "the text ends twice": (repeated(6), "a text ends twice"),
    "the whole text is another": (changed(6, "text", to="Bye"), "do not make up"),
    "the whole text has other logprobs": (changed(6, "logprobs", to=[]), "other logprobs than its deltas"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_stream_is_noticed(name: str) -> None:
    broken, said = BROKEN[name]
    with pytest.raises(EventOrderError, match=said):
        check_events(broken(copy.deepcopy(text_stream())))


ERROR = len(failed_stream()) - 2
BROKEN_END: dict[str, tuple[Events, Break, str]] = {
    "it fails without an error": (failed_stream(), without(ERROR), "do not go together"),
    "an error comes twice": (failed_stream(), repeated(ERROR), "do not go together"),
    "an error comes before the item's end": (failed_stream(), swapped(ERROR - 1, ERROR), "do not go together"),
    "an error ends nothing": (
        text_stream(),
        lambda e: numbered(*e[:5], {"type": "error"}, *e[5:]),
        "do not go together",
    ),
    "the failed response has no error": (
        failed_stream(),
        changed(ERROR + 1, "response", "error", to=None),
        "error does not go",
    ),
    "nobody says why it was cut": (
        cut_stream("incomplete"),
        changed(9, "response", "incomplete_details", to=None),
        "incomplete_details does not go",
    ),
    "a cancelled response is told as completed": (
        cut_stream("cancelled"),
        changed(9, "type", to="response.completed"),
        "status is not that",
    ),
    "numbers are skipped without a failure": (
        text_stream(),
        changed(9, "sequence_number", to=1_000_000_009),
        "skipped without a failure",
    ),
    "thoughts have two names": (
        thoughts_stream(),
        changed(5, "type", to="response.reasoning.done"),
        "thoughts have two names",
    ),
    "a summary is told as a thought": (
        thoughts_stream(),
        changed(8, "type", to="response.reasoning_text.delta"),
        "text without its part",
    ),
    "a summary's index is skipped": (thoughts_stream(), changed(7, "summary_index", to=1), "index of a part"),
    "a summary is missing in the item": (thoughts_stream(), changed(11, "item", "summary", to=[]), "summary is not"),
}


@pytest.mark.parametrize("name", BROKEN_END)
def test_a_stream_of_another_kind_that_is_broken_is_noticed(name: str) -> None:
    events, broken, said = BROKEN_END[name]
    with pytest.raises(EventOrderError, match=said):
        check_events(broken(copy.deepcopy(events)))


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        *((changed(5, "item", key, to="other"), "identity changes") for key in ("call_id", "name", "id")),
        (changed(5, "item", "arguments", to="[]"), "other arguments"),
        (changed(4, "name", to="g"), "under another name"),
        (changed(4, "arguments", to="[]"), "do not make up"),
        (changed(2, "item", "arguments", to="{}"), "says something already"),
        (without(3), "do not make up"),
        (without(4), "ends before its arguments"),
        (without(3, 4), "ends before its arguments"),
    ],
)
def test_a_broken_call_is_noticed(broken: Break, said: str) -> None:
    with pytest.raises(EventOrderError, match=said):
        check_events(broken(copy.deepcopy(call_stream())))


def test_the_rest_of_a_stream_is_whole_up_to_its_one_end() -> None:
    rest = text_stream()[5:]
    check_rest(rest)
    timeless = changed(-1, "response", "completed_at", to=None)(copy.deepcopy(rest))
    for broken in (rest[:-1], [*rest, {**rest[-1], "sequence_number": 10}], [rest[0], *rest[2:]], rest[::-1], timeless):
        with pytest.raises(EventOrderError):
            check_rest(broken)
