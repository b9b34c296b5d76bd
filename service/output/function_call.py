"""A call of a function as an item of the output, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence

from answerd.v1 import event_pb2, item_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.logprob_pb2 import LogProb
from service.ids import ITEM_PREFIXES
from service.output.growing_item import GrowingItem

CALL_PREFIX = "call_"


class FunctionCall(GrowingItem):
    """A name, and arguments that grow. The call's identifier follows from the item's."""

    def __init__(self, item_id: str, output_index: int, name: str) -> None:
        super().__init__(item_id, output_index)
        self._call_id = CALL_PREFIX + item_id.removeprefix(ITEM_PREFIXES["function_call"])
        self._name = name

    def grow(self, delta: str, logprobs: Sequence[LogProb]) -> ResponseEvent:
        self._pieces.append(delta)
        event = event_pb2.FunctionCallArgumentsDelta(item_id=self.id, output_index=self._index, delta=delta)
        return ResponseEvent(function_call_arguments_delta=event)

    def item(self) -> item_pb2.Item:
        item = self._empty()
        item.function_call.arguments = "".join(self._pieces)
        return item

    def _empty(self) -> item_pb2.Item:
        call = item_pb2.FunctionCallItem(id=self.id, status=self._status, call_id=self._call_id, name=self._name)
        return item_pb2.Item(function_call=call)
