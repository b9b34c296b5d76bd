"""Writes events of a response as frames of an SSE stream, or as JSON alone. It knows no connection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from answerd.v1.event_pb2 import ErrorEvent, OutputTextDelta, ResponseEvent
from facade.writer import write_message, write_response

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"

TERMINAL = frozenset({"completed", "incomplete", "failed"})
SNAPSHOTS = TERMINAL | {"created", "queued", "in_progress"}

TYPES: Mapping[str, str] = {
    **{name: f"response.{name}" for name in SNAPSHOTS},
    "output_item_added": "response.output_item.added",
    "output_item_done": "response.output_item.done",
    "content_part_added": "response.content_part.added",
    "content_part_done": "response.content_part.done",
    "output_text_delta": "response.output_text.delta",
    "output_text_done": "response.output_text.done",
    "output_text_annotation_added": "response.output_text.annotation.added",
    "refusal_delta": "response.refusal.delta",
    "refusal_done": "response.refusal.done",
    "function_call_arguments_delta": "response.function_call_arguments.delta",
    "function_call_arguments_done": "response.function_call_arguments.done",
    "reasoning_text_delta": "response.reasoning_text.delta",
    "reasoning_text_done": "response.reasoning_text.done",
    "reasoning_summary_part_added": "response.reasoning_summary_part.added",
    "reasoning_summary_part_done": "response.reasoning_summary_part.done",
    "reasoning_summary_text_delta": "response.reasoning_summary_text.delta",
    "reasoning_summary_text_done": "response.reasoning_summary_text.done",
    "error": "error",
}
OPEN_RESPONSES_TYPES = {
    "reasoning_text_delta": "response.reasoning.delta",
    "reasoning_text_done": "response.reasoning.done",
}


class EventWriter:
    """Writes events with the names that one dialect gives to reasoning."""

    def __init__(self, reasoning_events: Literal["openai", "openresponses"] = "openai") -> None:
        self._types = {**TYPES, **(OPEN_RESPONSES_TYPES if reasoning_events == "openresponses" else {})}

    def frame(self, event: ResponseEvent) -> bytes:
        """The frame of an event, blank line included; empty for an event of a newer contract."""
        payload = self._payload(event)
        return b"event: %b\ndata: %b\n\n" % (payload["type"].encode(), orjson.dumps(payload)) if payload else b""

    def message(self, event: ResponseEvent) -> bytes:
        """The event as JSON alone; empty for an event of a newer contract."""
        payload = self._payload(event)
        return orjson.dumps(payload) if payload else b""

    def _payload(self, event: ResponseEvent) -> dict[str, Any] | None:
        name = event.WhichOneof("event")
        if name is None:
            return None
        head = {"type": self._types[name], "sequence_number": event.sequence_number}
        # Nearly all events are text; they do not take the general way.
        if name == "output_text_delta":
            return {**head, **_text_delta(event.output_text_delta)}
        if name == "error":
            return {**head, **_error(event.error)}
        if name in SNAPSHOTS:
            return {**head, "response": write_response(getattr(event, name).response)}
        return {**head, **write_message(getattr(event, name))}


def _text_delta(delta: OutputTextDelta) -> dict[str, Any]:
    return {
        "item_id": delta.item_id,
        "output_index": delta.output_index,
        "content_index": delta.content_index,
        "delta": delta.delta,
        "logprobs": [write_message(logprob) for logprob in delta.logprobs],
    }


def _error(error: ErrorEvent) -> dict[str, Any]:
    """Nested, as Open Responses has it, and flat, as OpenAI has it, in one object."""
    code = error.code if error.HasField("code") else None
    param = error.param if error.HasField("param") else None
    nested = {"type": error.type, "code": code, "message": error.message, "param": param}
    return {"error": nested, "code": code, "message": error.message, "param": param}
