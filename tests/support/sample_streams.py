"""Good streams of events, as short as they can be, for tests to break: a text, a call, thoughts, a failure."""

from __future__ import annotations

from typing import Any

Events = list[dict[str, Any]]

LOGPROB = {"token": "Hel", "logprob": -0.5, "bytes": [72, 101, 108], "top_logprobs": []}
ENDS: dict[str, dict[str, Any]] = {
    "completed": {"completed_at": 9, "usage": {}},
    "incomplete": {"incomplete_details": {"reason": "max_output_tokens"}, "usage": {}},
    "cancelled": {"incomplete_details": {"reason": "cancelled"}, "usage": {}},
    "failed": {"error": {"code": "server_error", "message": "It broke."}},
}


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": "resp_1", "model": "m", "created_at": 1, "status": status, "output": output, **ENDS.get(status, {})}


def state(status: str, output: list[dict[str, Any]], kind: str = "") -> dict[str, Any]:
    return {"type": f"response.{kind or status}", "response": response(status, output)}


def numbered(*events: dict[str, Any]) -> Events:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def begin() -> Events:
    return [state("in_progress", [], "created"), state("in_progress", [])]


def part(text: str, *logprobs: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": [*logprobs]}


def message(content: list[dict[str, Any]], status: str = "completed", id: str = "msg_1") -> dict[str, Any]:
    return {"type": "message", "id": id, "status": status, "role": "assistant", "content": content}


def message_events(status: str = "completed") -> Events:
    """Events 2 to 8 of a stream: `Hel`, whose log-probability is told, and `lo`."""
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": message([], "in_progress")},
        {"type": "response.content_part.added", "part": part(""), **place},
        {"type": "response.output_text.delta", "delta": "Hel", "logprobs": [LOGPROB], **place},
        {"type": "response.output_text.delta", "delta": "lo", "logprobs": [], **place},
        {"type": "response.output_text.done", "text": "Hello", "logprobs": [LOGPROB], **place},
        {"type": "response.content_part.done", "part": part("Hello", LOGPROB), **place},
        {"type": "response.output_item.done", "output_index": 0, "item": message([part("Hello", LOGPROB)], status)},
    ]


def text_stream() -> Events:
    end = state("completed", [message([part("Hello", LOGPROB)])])
    return numbered(*begin(), *message_events(), end)


def cut_stream(status: str) -> Events:
    """One that ends with `response.incomplete`, because of its budget or because it was cancelled."""
    end = state(status, [message([part("Hello", LOGPROB)], "incomplete")], "incomplete")
    return numbered(*begin(), *message_events("incomplete"), end)


def failed_stream() -> Events:
    fault = {"code": "server_error", "message": "It broke.", "param": None}
    error = {"type": "error", "error": {"type": "server_error", **fault}, **fault}
    end = state("failed", [message([part("Hello", LOGPROB)], "incomplete")])
    return numbered(*begin(), *message_events("incomplete"), error, end)


def call_stream() -> Events:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
    place = {"item_id": "fc_1", "output_index": 0}
    done = {**call, "status": "completed"}
    opened = {**done, "arguments": "", "status": "in_progress"}
    return numbered(
        *begin(),
        {"type": "response.output_item.added", "item": opened, "output_index": 0},
        {"type": "response.function_call_arguments.delta", "delta": "{}", **place},
        {"type": "response.function_call_arguments.done", "arguments": "{}", "name": "f", **place},
        {"type": "response.output_item.done", "item": done, "output_index": 0},
        state("completed", [done]),
    )


def thoughts_stream(stem: str = "response.reasoning_text") -> Events:
    """Thoughts, and a summary of them."""
    place = {"item_id": "rs_1", "output_index": 0}
    inner, outer = {**place, "content_index": 0}, {**place, "summary_index": 0}
    thought, summary = {"type": "reasoning_text", "text": "Hm."}, {"type": "summary_text", "text": "So."}
    item = {"type": "reasoning", "id": "rs_1", "status": "completed", "summary": [summary], "content": [thought]}
    opened = {**item, "status": "in_progress", "summary": [], "content": []}
    return numbered(
        *begin(),
        {"type": "response.output_item.added", "item": opened, "output_index": 0},
        {"type": "response.content_part.added", "part": {**thought, "text": ""}, **inner},
        {"type": f"{stem}.delta", "delta": "Hm.", **inner},
        {"type": f"{stem}.done", "text": "Hm.", **inner},
        {"type": "response.content_part.done", "part": thought, **inner},
        {"type": "response.reasoning_summary_part.added", "part": {**summary, "text": ""}, **outer},
        {"type": "response.reasoning_summary_text.delta", "delta": "So.", **outer},
        {"type": "response.reasoning_summary_text.done", "text": "So.", **outer},
        {"type": "response.reasoning_summary_part.done", "part": summary, **outer},
        {"type": "response.output_item.done", "item": item, "output_index": 0},
        state("completed", [item]),
    )
