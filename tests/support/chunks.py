"""Reads a stream of chunks (`stream_format: chunks`), and refuses one that does not hold together."""

from __future__ import annotations

import json
from typing import Any

from tests.support.sse import DONE

BEGINNING = b'data: {"id":'
KEYS = ["id", "object", "created_at", "model", "chunk_type", "delta", "usage", "metadata"]
RUNNING = ("queued", "in_progress")


def parse_chunks(body: bytes) -> list[dict[str, Any]]:
    """The chunks of a whole stream, in order. Raises AssertionError unless every frame is one `data:` line, `[DONE]`
    the last, all chunks are of one response, and the last one alone has its final state."""
    assert b"\r" not in body, "a carriage return"
    frames = [frame for frame in body.decode().split("\n\n") if not frame.startswith(":")]
    *frames, end, rest = frames
    assert (end, rest) == (f"data: {DONE}", ""), "no [DONE] at the end"
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    chunks = [json.loads(frame.removeprefix("data: ")) for frame in frames]
    check_chunks(chunks)
    return chunks


def check_chunks(chunks: list[dict[str, Any]]) -> None:
    assert all(list(chunk)[: len(KEYS)] == KEYS for chunk in chunks)
    assert len({(chunk["id"], chunk["created_at"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert {(chunk["object"], chunk["chunk_type"]) for chunk in chunks} == {("response.chunk", "delta")}
    ended = [chunk["delta"]["status"] not in RUNNING for chunk in chunks]
    assert ended == [False] * (len(chunks) - 1) + [True], "one chunk, the last, has the final state"
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    for item in (item for chunk in chunks for item in chunk["delta"]["output"]):
        assert item["id"]
        assert item["type"] in ("message", "reasoning", "function_call")
