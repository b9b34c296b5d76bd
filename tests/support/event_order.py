"""Checks the order of a response's events as a client sees them, whatever they say.

`check_events` takes the JSON objects of one whole stream, without the `[DONE]` of SSE.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]

TERMINAL = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
# Where a response was broken off by a crash, the numbers of its last events begin so much further on.
SKIPPED = 1_000_000_000
LIFECYCLE = {"response.created", "response.queued", "response.in_progress", *TERMINAL}
# The delta of each kind of text, the event that ends it, and the key of the whole text in that one.
TEXTS = {
    "response.output_text": "text",
    "response.refusal": "refusal",
    "response.function_call_arguments": "arguments",
    "response.reasoning_text": "text",
    "response.reasoning": "text",
    "response.reasoning_summary_text": "text",
}


class EventOrderError(AssertionError):
    """A stream breaks a rule; `str()` says which, and at which event."""


def check_events(events: Sequence[Event]) -> None:
    """Raises EventOrderError unless the stream

    begins with `created` (with an empty output) and has exactly one terminal event, as its last;
    counts its sequence numbers 0, 1, 2, and so on, with one jump where a crash broke it off;
    keeps the response's id and each item's identity;
    opens an item before its parts, a part before its deltas, and ends all of them in turn, unless it failed;
    has deltas that make up the whole text, and a last output of the items that were done.
    """
    checker = _Checker()
    _require(bool(events), "the stream is empty", 0)
    for place, event in enumerate(events):
        checker.take(event, place, last=place == len(events) - 1)


class _Checker:
    def __init__(self) -> None:
        self.response_id = ""
        self.skipped = 0
        self.open_items: dict[int, Event] = {}
        self.done_items: dict[int, Event] = {}
        self.open_parts: dict[tuple[Any, ...], str] = {}
        self.texts: dict[tuple[Any, ...], str] = {}
        self.whole: dict[tuple[Any, ...], str] = {}

    def take(self, event: Event, place: int, *, last: bool) -> None:
        kind = str(event["type"])
        self._number(event, place)
        _require((kind == "response.created") == (place == 0), "`created` is not the first event, once", place)
        _require((kind in TERMINAL) == last, "the terminal event is not the last, once", place)
        stem, _, step = kind.rpartition(".")
        if kind in LIFECYCLE:
            self._lifecycle(event, place)
        elif stem == "response.output_item":
            self._item(event, step, place)
        elif stem in ("response.content_part", "response.reasoning_summary_part"):
            self._part(event, step, place)
        elif stem in TEXTS:
            self._text(event, stem, step, place)

    def _number(self, event: Event, place: int) -> None:
        number = event["sequence_number"]
        if number == place + SKIPPED:
            self.skipped = SKIPPED
        _require(number == place + self.skipped, f"sequence number {number}", place)

    def _lifecycle(self, event: Event, place: int) -> None:
        response, kind = event["response"], event["type"]
        self.response_id = self.response_id or response["id"]
        _require(response["id"] == self.response_id, "the response's id changes", place)
        if kind == "response.created":
            _require(response["output"] == [], "`created` has output", place)
        if kind not in TERMINAL:
            return
        _require(not self.skipped or kind == "response.failed", "numbers are skipped without a failure", place)
        cancelled = kind == "response.incomplete" and response["status"] == "cancelled"
        _require(cancelled or response["status"] == TERMINAL[kind], "the status is not that of the event", place)
        if kind != "response.failed":
            _require(not self.open_items, "an item is left open", place)
            _require(not self.open_parts, "a part is left open", place)
            done = [self.done_items[index] for index in sorted(self.done_items)]
            _require(response["output"] == done, "the output is not the items that were done", place)

    def _item(self, event: Event, step: str, place: int) -> None:
        index, item = event["output_index"], event["item"]
        if step == "added":
            _require(index == len(self.open_items) + len(self.done_items), "an output_index is skipped or used", place)
            _require(item["status"] == "in_progress", "a new item is not in progress", place)
            self.open_items[index] = item
            return
        _require(index in self.open_items, "an item ends that was not added, or twice", place)
        added = self.open_items.pop(index)
        _require(_identity(item) == _identity(added), "an item's identity changes", place)
        _require(item["status"] in ("completed", "incomplete"), "an item that ended has no such status", place)
        left = [key for key in self.open_parts if key[0] == item["id"]]
        _require(not left, "an item ends before its parts", place)
        said = "".join(text for key, text in self.whole.items() if key[0] == item["id"])
        _require(_said(item) == said, "an item does not say what its deltas said", place)
        self.done_items[index] = item

    def _part(self, event: Event, step: str, place: int) -> None:
        self._within_item(event, place)
        key = _key(event)
        if step == "added":
            _require(key not in self.open_parts, "a part is added twice", place)
            _require(_text_of(event["part"]) == "", "a new part has text", place)
            self.open_parts[key] = event["part"]["type"]
            return
        _require(self.open_parts.pop(key, None) == event["part"]["type"], "a part ends that was not added", place)
        _require(key in self.whole, "a part ends before its text", place)
        _require(_text_of(event["part"]) == self.whole[key], "a part's text is not that of its deltas", place)

    def _text(self, event: Event, stem: str, step: str, place: int) -> None:
        self._within_item(event, place)
        key = _key(event)
        arguments = stem == "response.function_call_arguments"
        _require(arguments or key in self.open_parts, "text without its part", place)
        _require(key not in self.whole, "text after its end", place)
        if step == "delta":
            self.texts[key] = self.texts.get(key, "") + event["delta"]
            return
        text = event[TEXTS[stem]]
        _require(text == self.texts.get(key, ""), "the deltas do not make up the whole text", place)
        self.whole[key] = text

    def _within_item(self, event: Event, place: int) -> None:
        item = self.open_items.get(event["output_index"])
        _require(item is not None and item["id"] == event["item_id"], "an event outside of its item", place)


def _key(event: Event) -> tuple[Any, ...]:
    summary = "summary_index" in event
    return event["item_id"], summary, event.get("summary_index", event.get("content_index"))


def _identity(item: Event) -> tuple[Any, ...]:
    return item["type"], item["id"], item.get("call_id"), item.get("name")


def _said(item: Event) -> str:
    parts = [*item.get("summary", []), *item.get("content", [])]
    return str(item.get("arguments", "")) + "".join(map(_text_of, parts))


def _text_of(part: Event) -> str:
    return str(part.get("text", part.get("refusal", "")))


def _require(holds: bool, fault: str, place: int) -> None:
    if not holds:
        raise EventOrderError(f"event {place}: {fault}")
