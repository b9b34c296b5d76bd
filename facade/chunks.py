"""Writes events of a response as chunks, the plain stream of `stream_format: chunks`. It knows no connection.

A chunk has the form of a response that consists of what is new: no event types, no indexes, the state in the last one.
"""

from __future__ import annotations

from typing import Any

import orjson

from answerd.v1.event_pb2 import FunctionCallArgumentsDelta, ResponseEvent
from answerd.v1.item_pb2 import FunctionCallItem
from answerd.v1.response_pb2 import Response
from facade.events import SNAPSHOTS, TERMINAL
from facade.writer import write_message, write_response

# Deltas of texts: the type of their item, the list in it, the type of the part, and the part's key.
TEXTS = {
    "output_text_delta": ("message", "content", "output_text", "text"),
    "refusal_delta": ("message", "content", "refusal", "refusal"),
    "reasoning_text_delta": ("reasoning", "content", "reasoning_text", "text"),
    "reasoning_summary_text_delta": ("reasoning", "summary", "summary_text", "text"),
}


class ChunkWriter:
    """Writes the events of one response, from its first on."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._metadata: dict[str, str] = {}
        self._calls: dict[str, FunctionCallItem] = {}

    def frame(self, event: ResponseEvent) -> bytes:
        """The frame of an event, blank line included; empty for one that says nothing new."""
        name = event.WhichOneof("event")
        if name == "created" or name in TERMINAL:
            return self._state(getattr(event, name).response)
        if name in SNAPSHOTS:
            return b""
        if name in TEXTS:
            return self._chunk([_text(name, getattr(event, name))])
        if name == "output_item_added" and event.output_item_added.item.HasField("function_call"):
            call = event.output_item_added.item.function_call
            self._calls[call.id] = call
        if name == "function_call_arguments_delta":
            return self._chunk([self._arguments(event.function_call_arguments_delta)])
        return b""

    def _state(self, response: Response) -> bytes:
        whole = write_response(response)
        self._head = {
            "id": whole["id"],
            "object": "response.chunk",
            "created_at": whole["created_at"],
            "model": whole["model"],
            "chunk_type": "delta",
        }
        self._metadata = whole["metadata"]
        told = {key: whole[key] for key in ("incomplete_details", "error") if whole[key] is not None}
        return self._chunk([], whole["status"], whole["usage"], **told)

    def _chunk(self, output: list[Any], status: str = "in_progress", usage: Any = None, **told: Any) -> bytes:
        delta = {"output": output, "status": status}
        chunk = {**self._head, "delta": delta, "usage": usage, "metadata": self._metadata, **told}
        return b"data: %b\n\n" % orjson.dumps(chunk)

    def _arguments(self, delta: FunctionCallArgumentsDelta) -> dict[str, Any]:
        call = self._calls[delta.item_id]
        head = {"id": delta.item_id, "type": "function_call", "call_id": call.call_id, "name": call.name}
        return {**head, "arguments": delta.delta}


def _text(name: str, delta: Any) -> dict[str, Any]:
    kind, parts, part, key = TEXTS[name]
    text = {"type": part, key: delta.delta}
    logprobs = [write_message(logprob) for logprob in getattr(delta, "logprobs", ())]
    return {"id": delta.item_id, "type": kind, parts: [text | ({"logprobs": logprobs} if logprobs else {})]}
