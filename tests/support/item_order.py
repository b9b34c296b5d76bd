"""The life of one item on a stream of events: opened, its parts one after the other, closed. It knows no responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Event: TypeAlias = Mapping[str, Any]

# For each kind of text: the type of its item, the type of its part, and the key of the whole text in `.done`.
TEXTS: Mapping[str, tuple[str, str, str]] = {
    "response.output_text": ("message", "output_text", "text"),
    "response.refusal": ("message", "refusal", "refusal"),
    "response.reasoning_text": ("reasoning", "reasoning_text", "text"),
    "response.reasoning": ("reasoning", "reasoning_text", "text"),
    "response.reasoning_summary_text": ("reasoning", "summary_text", "text"),
}
ARGUMENTS = "response.function_call_arguments"
PARTS = {"response.content_part": "content", "response.reasoning_summary_part": "summary"}
INDICES = {"content": "content_index", "summary": "summary_index"}


class EventOrderError(AssertionError):
    """A stream breaks a rule; `str()` says which."""


def require(holds: bool, fault: str) -> None:
    if not holds:
        raise EventOrderError(fault)


@dataclass
class Part:
    """A part of an item, or its arguments: what its deltas said so far, and `whole` once that is complete."""

    type: str
    text: str = ""
    logprobs: list[Any] = field(default_factory=list)
    whole: bool = False

    def delta(self, event: Event) -> None:
        require(not self.whole, "text after its end")
        self.text += event["delta"]
        if self.type == "output_text":
            require(isinstance(event.get("logprobs"), list), "a delta of text has no list of logprobs")
            self.logprobs += event["logprobs"]

    def done(self, event: Event, key: str) -> None:
        require(not self.whole, "a text ends twice")
        self.whole = True
        require(event[key] == self.text, "the deltas do not make up the whole text")
        if self.type == "output_text":
            require(event.get("logprobs") == self.logprobs, "the whole text has other logprobs than its deltas")


class ItemLife:
    """An item from `output_item.added` on."""

    def __init__(self, added: Event) -> None:
        self.type, self.id = added["type"], added["id"]
        self._identity = identity(added)
        self._arguments = Part("arguments")
        self._open: dict[str, Part] = {}
        self._done: dict[str, list[Any]] = {"content": [], "summary": []}
        require(added.get("status") in ("in_progress", None), "a new item is not in progress")
        require(not added.get("content") and not added.get("arguments"), "a new item says something already")

    def part(self, event: Event, stem: str, step: str) -> None:
        """`content_part` or `reasoning_summary_part`."""
        where, part = PARTS[stem], event["part"]
        require(event[INDICES[where]] == len(self._done[where]), "an index of a part is skipped or used")
        if step == "added":
            kinds = {kind for item, kind, _ in TEXTS.values() if item == self.type}
            require(part["type"] in kinds, f"a {part['type']} has no place in a {self.type}")
            require(where not in self._open, "a part is added before the last one is done")
            require(said_by(part) == "" and not part.get("logprobs"), "a new part says something already")
            self._open[where] = Part(part["type"])
            return
        require(where in self._open, "a part ends that was not added")
        known = self._open.pop(where)
        require(part["type"] == known.type, "a part ends as another kind")
        require(known.whole, "a part ends before its text")
        require(said_by(part) == known.text, "a part's text is not that of its deltas")
        logprobs = part.get("logprobs", [])
        require(logprobs == known.logprobs, "a part's logprobs are not those of its deltas")
        self._done[where].append(part)

    def text(self, event: Event, stem: str, step: str) -> None:
        """A delta or the end of a text, or of arguments."""
        if stem == ARGUMENTS:
            require(self.type == "function_call", f"arguments in a {self.type}")
            part, key = self._arguments, "arguments"
            called = event.get("name") if step == "done" else self._identity[-1]
            require(called == self._identity[-1], "arguments end under another name")
        else:
            _, kind, key = TEXTS[stem]
            where = "summary" if kind == "summary_text" else "content"
            require(where in self._open, "text without its part")
            part = self._open[where]
            require(part.type == kind, f"{stem} in a {part.type}")
            require(event[INDICES[where]] == len(self._done[where]), "text of another part than the open one")
        if step == "delta":
            part.delta(event)
        else:
            part.done(event, key)

    def end(self, item: Event) -> None:
        """`output_item.done`."""
        require(identity(item) == self._identity, "an item's identity changes")
        require(item.get("status") in ("completed", "incomplete"), "an item that ended has no such status")
        require(not self._open, "an item ends before its parts")
        for where, parts in self._done.items():
            require((item.get(where) or []) == parts, f"an item's {where} is not the parts that were done")
        if self.type == "function_call":
            require(self._arguments.whole, "a call ends before its arguments")
            require(item["arguments"] == self._arguments.text, "a call has other arguments than its deltas")


def identity(item: Event) -> tuple[Any, ...]:
    return item["type"], item["id"], item.get("call_id"), item.get("name")


def said_by(part: Event) -> str:
    return str(part.get("text", part.get("refusal", "")))
