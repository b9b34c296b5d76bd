"""One choice's items: pieces of what the model says go in, items open, grow and close. Its events have no number."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.logprob_pb2 import LogProb
from service.output.function_call import FunctionCall
from service.output.growing_item import GrowingItem
from service.output.message import Message
from service.output.pieces import CallArguments, CallBegin, CallEnd, Piece, Text, Thought
from service.output.reasoning import Reasoning

NewId = Callable[[str], str]
"""Gives an identifier for a type of item, as the contract's `Item` names it."""


class Answer:
    """Adds its items to an output that it may share with other choices: an item's place is the next one there is."""

    def __init__(self, output: list[GrowingItem], new_id: NewId) -> None:
        self._output, self._new_id = output, new_id
        self._last: GrowingItem | None = None  # the others are closed
        self.has_message = self._has_call = self.closed = False

    def take(self, piece: Piece, logprobs: Sequence[LogProb] = ()) -> list[ResponseEvent]:
        match piece:
            case Text(text):
                return [*self._at(Message), self._grow(text, logprobs)]
            case Thought(text):
                return [*self._at(Reasoning), self._grow(text)]
            case CallBegin(name):
                self._has_call = True
                return self._open(FunctionCall(self._new_id("function_call"), len(self._output), name))
            case CallArguments(delta):
                return [self._grow(delta)]
            case CallEnd():
                return self._close_last(whole=True)

    def close(self, *, whole: bool, always_message: bool = False) -> list[ResponseEvent]:
        """The model says nothing more. An answer without words or calls ends with an empty message, unless it was cut
        off within a thought; with always_message it does then, too."""
        if self.closed:
            return []
        self.closed = True
        events = self._close_last(whole=whole)
        if self.has_message or self._has_call or not (whole or always_message or self._last is None):
            return events
        return [*events, *self._at(Message), *self._close_last(whole=whole)]

    def break_off(self) -> list[ResponseEvent]:
        """The same, where what was not said leaves nothing behind."""
        self.closed = True
        return self._close_last(whole=False)

    def _at(self, kind: type[Message | Reasoning]) -> list[ResponseEvent]:
        """Opens an item of this type unless the last one is."""
        if isinstance(self._last, kind) and self._last.is_open:
            return []
        self.has_message = self.has_message or kind is Message
        name = "message" if kind is Message else "reasoning"
        return self._open(kind(self._new_id(name), len(self._output)))

    def _open(self, item: GrowingItem) -> list[ResponseEvent]:
        closing = self._close_last(whole=True)
        self._output.append(item)
        self._last = item
        return [*closing, *item.open()]

    def _grow(self, delta: str, logprobs: Sequence[LogProb] = ()) -> ResponseEvent:
        assert self._last is not None, "arguments follow the beginning of their call"
        return self._last.grow(delta, logprobs)

    def _close_last(self, *, whole: bool) -> list[ResponseEvent]:
        return self._last.close(whole=whole) if self._last is not None and self._last.is_open else []
