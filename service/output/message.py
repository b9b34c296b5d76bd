"""A message of the output, with its one part of text, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Sequence

from answerd.v1 import content_pb2, event_pb2, item_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.logprob_pb2 import LogProb
from service.output.growing_item import GrowingItem

_PART = 0  # place of the one part in the message


class Message(GrowingItem):
    """What the model says to the reader."""

    def __init__(self, item_id: str, output_index: int) -> None:
        super().__init__(item_id, output_index)
        self._logprobs: list[LogProb] = []

    def grow(self, delta: str, logprobs: Sequence[LogProb]) -> ResponseEvent:
        self._pieces.append(delta)
        self._logprobs += logprobs
        event = event_pb2.OutputTextDelta(
            item_id=self.id, output_index=self._index, content_index=_PART, delta=delta, logprobs=logprobs
        )
        return ResponseEvent(output_text_delta=event)

    def item(self) -> item_pb2.Item:
        item = self._empty()
        item.message.content.append(_text_part("".join(self._pieces), self._logprobs))
        return item

    def _empty(self) -> item_pb2.Item:
        role = item_pb2.Role.ROLE_ASSISTANT
        return item_pb2.Item(message=item_pb2.MessageItem(id=self.id, status=self._status, role=role))

    def _begin(self) -> list[ResponseEvent]:
        part = event_pb2.ContentPartAdded(
            item_id=self.id, output_index=self._index, content_index=_PART, part=_text_part("", ())
        )
        return [ResponseEvent(content_part_added=part)]


def _text_part(text: str, logprobs: Sequence[LogProb]) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(output_text=content_pb2.OutputText(text=text, logprobs=logprobs))
