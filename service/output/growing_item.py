"""An item of a response's output between its opening and its close, and the events that tell of both.

It knows its place in the output, and nothing of the response.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from answerd.v1 import event_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item, ItemStatus
from answerd.v1.logprob_pb2 import LogProb
from common.closing import close_item


class GrowingItem(ABC):
    """What every type of item has. Events have no number yet."""

    def __init__(self, item_id: str, output_index: int) -> None:
        self.id, self._index = item_id, output_index
        self._status = ItemStatus.ITEM_STATUS_IN_PROGRESS
        self._pieces: list[str] = []

    @property
    def is_open(self) -> bool:
        return self._status == ItemStatus.ITEM_STATUS_IN_PROGRESS

    def open(self) -> list[ResponseEvent]:
        added = event_pb2.OutputItemAdded(output_index=self._index, item=self._empty())
        return [ResponseEvent(output_item_added=added), *self._begin()]

    def close(self, *, whole: bool) -> list[ResponseEvent]:
        events = close_item(self.item(), self._index, whole=whole)
        self._status = ItemStatus.ITEM_STATUS_COMPLETED if whole else ItemStatus.ITEM_STATUS_INCOMPLETE
        return events

    @abstractmethod
    def grow(self, delta: str, logprobs: Sequence[LogProb]) -> ResponseEvent:
        """Adds text, which is not empty. Takes time that does not depend on what came before."""

    @abstractmethod
    def item(self) -> Item:
        """The item as it stands, with the text so far."""

    @abstractmethod
    def _empty(self) -> Item:
        """The item without content."""

    def _begin(self) -> list[ResponseEvent]:
        """The events between `output_item.added` and the first delta."""
        return []
