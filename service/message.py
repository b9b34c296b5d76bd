"""One message of a response's output and what it tells of itself, as events without a number.

It knows its place in the output, and nothing of the response.
"""

from __future__ import annotations

from collections.abc import Sequence

from answerd.v1 import content_pb2, event_pb2, item_pb2
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.logprob_pb2 import LogProb

_PART = 0  # place of the one part in the message


class Message:
    """Text that grows between `open` and `close`."""

    def __init__(self, item_id: str, output_index: int) -> None:
        self._item_id, self._index = item_id, output_index
        self._pieces: list[str] = []
        self._logprobs: list[LogProb] = []
        self._status = ItemStatus.ITEM_STATUS_UNSPECIFIED

    @property
    def opened(self) -> bool:
        return self._status != ItemStatus.ITEM_STATUS_UNSPECIFIED

    @property
    def is_open(self) -> bool:
        return self._status == ItemStatus.ITEM_STATUS_IN_PROGRESS

    def open(self) -> list[ResponseEvent]:
        self._status = ItemStatus.ITEM_STATUS_IN_PROGRESS
        item = item_pb2.Item(message=self._message())
        added = event_pb2.OutputItemAdded(output_index=self._index, item=item)
        part = event_pb2.ContentPartAdded(
            item_id=self._item_id, output_index=self._index, content_index=_PART, part=_text_part("", ())
        )
        return [ResponseEvent(output_item_added=added), ResponseEvent(content_part_added=part)]

    def text(self, delta: str, logprobs: Sequence[LogProb]) -> ResponseEvent:
        """Takes time that does not depend on what came before."""
        self._pieces.append(delta)
        self._logprobs += logprobs
        event = event_pb2.OutputTextDelta(
            item_id=self._item_id, output_index=self._index, content_index=_PART, delta=delta, logprobs=logprobs
        )
        return ResponseEvent(output_text_delta=event)

    def close(self, *, whole: bool) -> list[ResponseEvent]:
        self._status = ItemStatus.ITEM_STATUS_COMPLETED if whole else ItemStatus.ITEM_STATUS_INCOMPLETE
        item = self.item()
        part = item.message.content[_PART]
        text_done = event_pb2.OutputTextDone(
            item_id=self._item_id,
            output_index=self._index,
            content_index=_PART,
            text=part.output_text.text,
            logprobs=part.output_text.logprobs,
        )
        part_done = event_pb2.ContentPartDone(
            item_id=self._item_id, output_index=self._index, content_index=_PART, part=part
        )
        item_done = event_pb2.OutputItemDone(output_index=self._index, item=item)
        return [
            ResponseEvent(output_text_done=text_done),
            ResponseEvent(content_part_done=part_done),
            ResponseEvent(output_item_done=item_done),
        ]

    def item(self) -> item_pb2.Item:
        """The message as it stands, with the text so far."""
        message = self._message()
        message.content.append(_text_part("".join(self._pieces), self._logprobs))
        return item_pb2.Item(message=message)

    def _message(self) -> item_pb2.MessageItem:
        return item_pb2.MessageItem(id=self._item_id, status=self._status, role=item_pb2.Role.ROLE_ASSISTANT)


def _text_part(text: str, logprobs: Sequence[LogProb]) -> content_pb2.ContentPart:
    return content_pb2.ContentPart(output_text=content_pb2.OutputText(text=text, logprobs=logprobs))
