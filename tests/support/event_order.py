"""Checks the order of a response's events as a client sees them, whatever they say, on any recorded stream.

The functions take the JSON objects of SSE, without its `[DONE]`, or of a WebSocket. What an object may look like is the
schema's matter (openresponses.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tests.support.item_order import ARGUMENTS, PARTS, TEXTS, Event, EventOrderError, ItemLife, require

__all__ = ["SKIPPED", "TERMINAL", "EventOrderError", "check_beginning", "check_events", "check_numbers", "check_rest"]

TERMINAL = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
BEGINNING = ("response.created", "response.queued", "response.in_progress")
# Where a response was broken off by a crash, the numbers of its last events begin so much further on.
SKIPPED = 1_000_000_000
# What of a response changes from one state to the next; the rest is said once and for all.
CHANGING = {"status", "completed_at", "output", "output_text", "usage", "error", "incomplete_details"}


def check_events(events: Sequence[Event]) -> None:
    """A whole stream. Raises EventOrderError unless it

    begins with `created` (with an empty output) and has one terminal event, as its last, with what belongs to it;
    counts its sequence numbers 0, 1, 2, and so on, with one jump where a crash broke it off;
    keeps all of the response that does not change, and each item's identity;
    opens an item before its parts, a part before its deltas, and ends all of them in turn, unless it failed;
    has texts in parts of their kind, and one name for the events of thoughts;
    has deltas that make up the whole text and its logprobs, in every place where they stand, up to the last output;
    says `error` exactly if it fails, right before that.

    A stream of nothing but `created` and the terminal event tells a response whose events nobody has kept.
    """
    require(bool(events), "the stream is empty")
    require(events[-1]["type"] in TERMINAL, "the last event is not a terminal one")
    check_beginning(events)


def check_beginning(events: Sequence[Event]) -> None:
    """The events of a stream up to any of them, for one that somebody left: the same rules, but that it ends."""
    checker = _Checker()
    for place, event in enumerate(events):
        try:
            checker.take(event, place)
        except EventOrderError as fault:
            raise EventOrderError(f"event {place}, {event['type']}: {fault}") from None


def check_rest(events: Sequence[Event]) -> None:
    """What is left of a stream that was taken up again somewhere, and read to its end; maybe nothing is. Its terminal
    event has what belongs to it."""
    check_numbers(events)
    ended = [event["type"] in TERMINAL for event in events]
    require(ended == [False] * (len(events) - 1) + [True] * bool(events), "the terminal event is not the last, once")
    for event in events[-1:]:
        _check_ending(event["response"], event["type"])


def check_numbers(events: Sequence[Event]) -> None:
    """Any events that followed each other."""
    steps = {after["sequence_number"] - before["sequence_number"] for before, after in pairwise(events)}
    require(steps <= {1, 1 + SKIPPED}, "sequence numbers do not follow each other")


def _check_ending(response: Event, kind: str) -> None:
    """What goes with the status of a response that has ended."""
    status = response["status"]
    cancelled = kind == "response.incomplete" and status == "cancelled"
    require(cancelled or status == TERMINAL[kind], "the status is not that of the event")
    failed = kind == "response.failed"
    for key, due in (
        ("completed_at", status == "completed"),
        ("error", failed),
        ("incomplete_details", status in ("incomplete", "cancelled")),
    ):
        require((response.get(key) is not None) == due, f"{key} does not go with the status {status}")
    require(failed or response.get("usage") is not None, "a response that has ended has no usage")


class _Checker:
    """What is known of a stream, event by event."""

    def __init__(self) -> None:
        self.skipped = 0
        self.kinds: list[str] = []
        self.response: Event | None = None
        self.open: dict[int, ItemLife] = {}
        self.done: dict[int, Event] = {}
        self.stems: set[str] = set()

    def take(self, event: Event, place: int) -> None:
        kind = str(event["type"])
        self._number(event, place)
        require((kind == BEGINNING[0]) == (place == 0), "`created` is not the first event, once")
        require(not self.kinds or self.kinds[-1] not in TERMINAL, "something follows the terminal event")
        after_error = bool(self.kinds) and self.kinds[-1] == "error"
        require(after_error == (kind == "response.failed"), "`error` and `failed` do not go together")
        self.kinds.append(kind)
        stem, _, step = kind.rpartition(".")
        if kind in BEGINNING or kind in TERMINAL:
            self._state(event["response"], kind)
        elif stem == "response.output_item":
            self._item(event, step)
        elif stem in PARTS:
            self._item_of(event).part(event, stem, step)
        elif stem in TEXTS or stem == ARGUMENTS:
            self.stems.add(stem)
            require(not {"response.reasoning", "response.reasoning_text"} <= self.stems, "thoughts have two names")
            self._item_of(event).text(event, stem, step)
        else:
            require(kind in ("error", "response.output_text.annotation.added"), "no known type of event")

    def _number(self, event: Event, place: int) -> None:
        number = event["sequence_number"]
        if number == place + SKIPPED:
            self.skipped = SKIPPED
        require(number == place + self.skipped, f"sequence number {number}")

    def _state(self, response: Event, kind: str) -> None:
        for key, value in (self.response or {}).items():
            require(key in CHANGING or response.get(key) == value, f"the response's {key} changes")
        self.response = response
        if kind in TERMINAL:
            self._end(response, kind)
            return
        require(response["output"] == [], f"{kind} has output")
        require(not self.open and not self.done, f"{kind} after an item")
        places = [BEGINNING.index(kind) for kind in self.kinds]
        require(places == sorted(set(places)), "the first states are out of order, or one comes twice")
        allowed = ("queued", "in_progress") if kind == BEGINNING[0] else (kind.removeprefix("response."),)
        require(response["status"] in allowed, "the status is not that of the event")
        ends = [
            key for key in ("completed_at", "error", "incomplete_details", "usage") if response.get(key) is not None
        ]
        require(not ends, f"a response that has not ended has {ends}")

    def _end(self, response: Event, kind: str) -> None:
        _check_ending(response, kind)
        failed = kind == "response.failed"
        require(not self.skipped or failed, "numbers are skipped without a failure")
        require(failed or not self.open, "an item is left open")
        done = [self.done[index] for index in sorted(self.done)]
        in_short = len(self.kinds) == 2
        require(in_short or response["output"] == done, "the output is not the items that were done")
        whole = all(item["status"] == "completed" for item in response["output"])
        require(whole or response["status"] != "completed", "an incomplete item in a completed response")

    def _item(self, event: Event, step: str) -> None:
        index, item = event["output_index"], event["item"]
        if step == "added":
            require(index == len(self.open) + len(self.done), "an output_index is skipped or used")
            ids = [life.id for life in self.open.values()] + [done["id"] for done in self.done.values()]
            require(item["id"] not in ids, "two items have one id")
            self.open[index] = ItemLife(item)
            return
        require(index in self.open, "an item ends that was not added, or twice")
        self.open.pop(index).end(item)
        self.done[index] = item

    def _item_of(self, event: Event) -> ItemLife:
        life = self.open.get(event["output_index"])
        require(life is not None and life.id == event["item_id"], "an event outside of its item")
        assert life is not None
        return life
