"""A thought of the model as an item of the output, with its one part of text, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence

from answerd.v1 import content_pb2, event_pb2, item_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.logprob_pb2 import LogProb
from service.output.growing_item import GrowingItem

_PART = 0  # place of the one part in the item


class Reasoning(GrowingItem):
    """What the model says to itself; without log-probabilities, for which the contract has no room there."""

    def grow(self, delta: str, logprobs: Sequence[LogProb]) -> ResponseEvent:
        self._pieces.append(delta)
        event = event_pb2.ReasoningTextDelta(
            item_id=self.id, output_index=self._index, content_index=_PART, delta=delta
        )
        return ResponseEvent(reasoning_text_delta=event)

    def item(self) -> item_pb2.Item:
        item = self._empty()
        item.reasoning.content.append(_part("".join(self._pieces)))
        return item

    def _empty(self) -> item_pb2.Item:
        return item_pb2.Item(reasoning=item_pb2.ReasoningItem(id=self.id, status=self._status))

    def _begin(self) -> list[ResponseEvent]:
        part = event_pb2.ContentPartAdded(
            item_id=self.id, output_index=self._index, content_index=_PART, part=_part("")
        )
        return [ResponseEvent(content_part_added=part)]


def _part(text: str) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(reasoning_text=content_pb2.ReasoningText(text=text))
