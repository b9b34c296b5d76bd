"""The JSON of events as they come over gRPC, written down by hand, message by message, from the rules of the contract.

It shares nothing with the facade, which derives the same from descriptors: the two are held against each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from answerd.v1 import (
    content_pb2,
    item_pb2,
    reasoning_pb2,
    response_pb2,
    service_tier_pb2,
    text_pb2,
    tool_choice_pb2,
    truncation_pb2,
)
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import Item
from answerd.v1.response_pb2 import Response

Json = dict[str, Any]
# Keys of a response whose value is their field's, or null where that is unset.
OPTIONAL_KEYS = (
    "completed_at",
    "previous_response_id",
    "instructions",
    "max_tool_calls",
    "max_output_tokens",
    "safety_identifier",
    "prompt_cache_key",
)
# Keys that always have the value of their field.
PLAIN_KEYS = (
    "id",
    "created_at",
    "model",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "top_logprobs",
    "store",
    "background",
)
PLACES = ("item_id", "output_index", "content_index", "summary_index")
SAID = ("delta", "text", "refusal", "arguments", "name")
STATES = ("created", "queued", "in_progress", "completed", "incomplete", "failed")
STEMS = (
    "output_item",
    "content_part",
    "output_text",
    "refusal",
    "function_call_arguments",
    "reasoning_text",
    "reasoning_summary_part",
    "reasoning_summary_text",
)


def event_json(event: ResponseEvent) -> Json:
    """What an event is on SSE, with OpenAI's names for thoughts."""
    name = event.WhichOneof("event")
    assert name is not None
    inner = getattr(event, name)
    number = event.sequence_number
    if name == "error":
        flat = {"code": _optional(inner, "code"), "message": inner.message, "param": _optional(inner, "param")}
        return {"type": "error", "sequence_number": number, "error": {"type": inner.type, **flat}, **flat}
    if name in STATES:
        return {"type": f"response.{name}", "sequence_number": number, "response": response_json(inner.response)}
    stem, _, step = name.rpartition("_")
    assert stem in STEMS
    body: Json = {"type": f"response.{stem}.{step}", "sequence_number": number}
    known = {field.name for field in inner.DESCRIPTOR.fields}
    body |= {key: getattr(inner, key) for key in (*PLACES, *SAID) if key in known}
    if "item" in known:
        body["item"] = item_json(inner.item)
    if "part" in known:
        body["part"] = part_json(inner.part)
    if "logprobs" in known:
        body["logprobs"] = [_logprob(each) for each in inner.logprobs]
    return body


def response_json(response: Response) -> Json:
    """The 31 keys of a response."""
    status = response_pb2.ResponseStatus
    body: Json = {"object": "response", **{key: getattr(response, key) for key in PLAIN_KEYS}}
    body |= {key: _optional(response, key) for key in OPTIONAL_KEYS}
    body["status"] = _word(status, response.status)
    body["incomplete_details"] = _if_set(response, "incomplete_details", _incomplete)
    body["error"] = _if_set(response, "error", lambda error: {"code": error.code, "message": error.message})
    body["output"] = [item_json(item) for item in response.output]
    body["usage"] = _if_set(response, "usage", _usage)
    body["tools"] = [_tool(tool.function) for tool in response.tools]
    body["tool_choice"] = _tool_choice(response.tool_choice)
    body["truncation"] = _word(truncation_pb2.Truncation, response.truncation)
    body["text"] = _text_config(response.text)
    body["reasoning"] = _if_set(response, "reasoning", _reasoning)
    body["service_tier"] = _word(service_tier_pb2.ServiceTier, response.service_tier)
    body["metadata"] = dict(response.metadata)
    return body


def item_json(item: Item) -> Json:
    kind = item.WhichOneof("type")
    assert kind is not None
    inner = getattr(item, kind)
    body: Json = {"type": kind, "id": inner.id}
    if kind != "compaction":
        body["status"] = _word(item_pb2.ItemStatus, inner.status)
    if kind == "message":
        body |= {"role": _word(item_pb2.Role, inner.role), "content": [part_json(part) for part in inner.content]}
        body |= {"phase": _word(item_pb2.MessagePhase, inner.phase)} if inner.phase else {}
    elif kind == "function_call":
        body |= {key: getattr(inner, key) for key in ("call_id", "name", "arguments")}
    elif kind == "reasoning":
        body["summary"] = [part_json(part) for part in inner.summary]
        body |= {"content": [part_json(part) for part in inner.content]} if inner.content else {}
        encrypted = _optional(inner, "encrypted_content")
        body |= {} if encrypted is None else {"encrypted_content": encrypted}
    else:
        raise AssertionError(f"no model makes a {kind}")
    return body


def part_json(part: content_pb2.ContentPart) -> Json:
    kind = part.WhichOneof("type")
    if kind == "output_text":
        said = part.output_text
        logprobs = [_logprob(each) for each in said.logprobs]
        return {"type": kind, "text": said.text, "annotations": [], "logprobs": logprobs}
    if kind == "refusal":
        return {"type": kind, "refusal": part.refusal.refusal}
    assert kind in ("reasoning_text", "summary_text"), f"no model makes a {kind}"
    return {"type": kind, "text": getattr(part, kind).text}


def _logprob(logprob: Any) -> Json:
    def one(of: Any) -> Json:
        return {"token": of.token, "logprob": of.logprob, "bytes": list(of.bytes)}

    return {**one(logprob), "top_logprobs": [one(other) for other in logprob.top_logprobs]}


def _incomplete(details: response_pb2.IncompleteDetails) -> Json:
    return {"reason": _word(response_pb2.IncompleteReason, details.reason)}


def _usage(usage: Any) -> Json:
    body: Json = {key: getattr(usage, key) for key in ("input_tokens", "output_tokens", "total_tokens")}
    inside, outside = usage.input_tokens_details, usage.output_tokens_details
    body["input_tokens_details"] = {key: getattr(inside, key) for key in ("cached_tokens", "cache_write_tokens")}
    return {**body, "output_tokens_details": {"reasoning_tokens": outside.reasoning_tokens}}


def _tool(tool: Any) -> Json:
    parameters = _optional(tool, "parameters")
    return {
        "type": "function",
        "name": tool.name,
        "description": _optional(tool, "description"),
        "parameters": None if parameters is None else json.loads(parameters),
        "strict": _optional(tool, "strict"),
    }


def _tool_choice(choice: tool_choice_pb2.ToolChoice) -> str | Json:
    modes = tool_choice_pb2.ToolChoiceMode
    if choice.HasField("function"):
        return {"type": "function", "name": choice.function.name}
    if choice.HasField("allowed_tools"):
        allowed = choice.allowed_tools
        tools = [{"type": "function", "name": tool.name} for tool in allowed.tools]
        return {"type": "allowed_tools", "tools": tools, "mode": _word(modes, allowed.mode) or "auto"}
    word = _word(modes, choice.mode)
    assert word is not None
    return word


def _text_config(text: text_pb2.TextConfig) -> Json:
    kind = text.format.WhichOneof("type")
    shape: Json = {"type": kind}
    if kind == "json_schema":
        given = text.format.json_schema
        shape |= {"name": given.name, "description": _optional(given, "description")}
        shape |= {"schema": json.loads(given.schema), "strict": given.strict}
    verbosity = _word(text_pb2.Verbosity, text.verbosity)
    return {"format": shape, **({"verbosity": verbosity} if verbosity else {})}


def _reasoning(reasoning: reasoning_pb2.ReasoningConfig) -> Json:
    effort = _word(reasoning_pb2.ReasoningEffort, reasoning.effort)
    return {"effort": effort, "summary": _word(reasoning_pb2.ReasoningSummary, reasoning.summary)}


def _word(enum: Any, number: int) -> str | None:
    """The JSON value of an enum, whose names begin with the enum's own; null for the unspecified one."""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    return str(enum.Name(number)).removeprefix(prefix).lower() if number else None


def _optional(message: Message, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None


def _if_set(message: Message, name: str, write: Callable[[Any], Json]) -> Json | None:
    return write(getattr(message, name)) if message.HasField(name) else None
