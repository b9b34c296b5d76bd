"""The end of an item: its own state, and the events that tell of it, without numbers.

It reads items as they are stored, and does not know who made them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from answerd.v1 import event_pb2
from answerd.v1.content_pb2 import ContentPart
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item, ItemStatus


def close_item(item: Item, output_index: int, *, whole: bool = False) -> list[ResponseEvent]:
    """Makes an item that is in progress incomplete, or completed; the events of that, none for any other item."""
    kind = item.WhichOneof("type")
    if kind is None:
        return []  # a newer version has stored it
    body = getattr(item, kind)
    if body.status != ItemStatus.ITEM_STATUS_IN_PROGRESS:
        return []
    body.status = ItemStatus.ITEM_STATUS_COMPLETED if whole else ItemStatus.ITEM_STATUS_INCOMPLETE
    done = event_pb2.OutputItemDone(output_index=output_index, item=item)
    return [*_content_done(item, kind, output_index), ResponseEvent(output_item_done=done)]


def _content_done(item: Item, kind: str, output_index: int) -> Iterator[ResponseEvent]:
    body = getattr(item, kind)
    if kind == "function_call":
        arguments_done = event_pb2.FunctionCallArgumentsDone(
            item_id=body.id, output_index=output_index, name=body.name, arguments=body.arguments
        )
        yield ResponseEvent(function_call_arguments_done=arguments_done)
        return
    for content_index, part in enumerate(body.content):
        place: dict[str, Any] = {"item_id": body.id, "output_index": output_index, "content_index": content_index}
        yield _text_done(part, place)
        yield ResponseEvent(content_part_done=event_pb2.ContentPartDone(part=part, **place))


def _text_done(part: ContentPart, place: dict[str, Any]) -> ResponseEvent:
    if part.HasField("reasoning_text"):
        text = part.reasoning_text.text
        return ResponseEvent(reasoning_text_done=event_pb2.ReasoningTextDone(text=text, **place))
    if part.HasField("refusal"):
        return ResponseEvent(refusal_done=event_pb2.RefusalDone(refusal=part.refusal.refusal, **place))
    said = part.output_text
    return ResponseEvent(output_text_done=event_pb2.OutputTextDone(text=said.text, logprobs=said.logprobs, **place))
