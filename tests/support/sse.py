"""Reads an SSE stream as a strict client would, and refuses what such clients trip over."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

DONE = "[DONE]"


def parse_frames(body: bytes) -> list[dict[str, Any]]:
    """The events of a whole stream, in order. Raises AssertionError unless every frame is framed exactly:

    `event:` equal to the type within, one `data:` line, line feeds only, comments apart, `[DONE]` once at the end.
    """
    assert b"\r" not in body, "a carriage return"
    assert body.endswith(b"\n\n"), "no blank line at the end"
    frames = [frame for frame in body.decode().removesuffix("\n\n").split("\n\n") if not frame.startswith(":")]
    assert frames.pop() == f"data: {DONE}", "no [DONE] at the end"
    return list(map(parse_frame, frames))


def parse_frame(frame: str) -> dict[str, Any]:
    """The event in one frame, given without its blank line."""
    lines = frame.split("\n")
    assert len(lines) == 2, f"{len(lines)} lines in a frame: {frame[:200]!r}"
    named, data = lines
    event: dict[str, Any] = json.loads(data.removeprefix("data: "))
    assert named == f"event: {event['type']}", f"{named!r} names an event of type {event['type']!r}"
    return event


def text_of(events: Iterable[dict[str, Any]]) -> str:
    """All text of the deltas."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
