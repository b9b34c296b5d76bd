"""The items of a response's output, put together from the events that tell of them.

It knows neither who tells them nor where they are kept.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item
from answerd.v1.logprob_pb2 import LogProb
from common.closing import close_item

DELTAS = {"output_text_delta", "reasoning_text_delta", "refusal_delta", "function_call_arguments_delta"}
ENDS = {
    "output_text_done",
    "reasoning_text_done",
    "refusal_done",
    "function_call_arguments_done",
    "content_part_done",
}
INSIDE = {*DELTAS, *ENDS, "content_part_added"}


class ToldItems:
    """What the events so far say. Noting one takes time that does not depend on what came before."""

    def __init__(self, known: Iterable[Item] = ()) -> None:
        """known: the first items, of which earlier events have told. Until they are done they stay as they are, since
        how much of what is said of them they have already is not known."""
        self._told = {index: _ToldItem(item, in_part=True) for index, item in enumerate(known)}

    def note(self, event: ResponseEvent) -> None:
        """The next event of the response; what it says of anything but items is passed over."""
        name = event.WhichOneof("event") or ""
        if name in INSIDE:
            said = getattr(event, name)
            told = self._told.get(said.output_index)
            if told is not None:
                told.note(name, said)
        elif name in ("output_item_added", "output_item_done"):
            said = getattr(event, name)
            self._told[said.output_index] = _ToldItem(said.item)

    def items(self) -> list[Item]:
        """In their order, with the text so far."""
        return [told.item() for _, told in sorted(self._told.items())]

    def close(self) -> list[ResponseEvent]:
        """Makes those that are open incomplete; the events of that which were not told yet, without numbers."""
        return [event for index, told in sorted(self._told.items()) for event in told.close(index)]


class _ToldItem:
    """in_part: whether events that are not noted tell of it."""

    def __init__(self, item: Item, *, in_part: bool = False) -> None:
        self._item, self._in_part = Item(), in_part
        self._item.CopyFrom(item)
        self._pieces: list[str] = []  # of the last part, or of the arguments
        self._logprobs: list[LogProb] = []
        self._ended: set[tuple[str, int]] = set()

    def note(self, name: str, said: Any) -> None:
        if self._in_part:
            return
        if name in DELTAS:
            self._pieces.append(said.delta)
            if name == "output_text_delta":
                self._logprobs += said.logprobs
        elif name in ENDS:
            self._ended.add((name, _place(said)))
        else:
            self._settle()
            self._body.content.append(said.part)

    def item(self) -> Item:
        self._settle()
        return self._item

    def close(self, index: int) -> list[ResponseEvent]:
        events = close_item(self.item(), index)
        return [] if self._in_part else [event for event in events if _name_and_place(event) not in self._ended]

    @property
    def _body(self) -> Any:
        return getattr(self._item, self._item.WhichOneof("type") or "")

    def _settle(self) -> None:
        """Puts the pieces where they belong."""
        if not self._pieces:
            return
        text = "".join(self._pieces)
        if self._item.HasField("function_call"):
            self._item.function_call.arguments += text
        else:
            part = self._body.content[-1]
            kind = part.WhichOneof("type")
            said = getattr(part, kind)
            if kind == "refusal":
                said.refusal += text
            else:
                said.text += text
            if kind == "output_text":
                said.logprobs.extend(self._logprobs)
        self._pieces, self._logprobs = [], []


def _name_and_place(event: ResponseEvent) -> tuple[str, int]:
    name = event.WhichOneof("event") or ""
    return name, _place(getattr(event, name))


def _place(said: Any) -> int:
    """Which part of its item it is about."""
    return getattr(said, "content_index", 0)
