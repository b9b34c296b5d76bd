"""Writes messages of the contract as JSON values for orjson.

Two policies: a response, and the few objects that strict clients want whole, have all their keys, null where unset;
items and parts leave out what is unset. It knows nothing of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf.message import Message

from answerd.v1.compaction_pb2 import CompactedResponse
from answerd.v1.input_items_pb2 import ListInputItemsResponse
from answerd.v1.logprob_pb2 import LogProb, TopLogProb
from answerd.v1.model_pb2 import Model
from answerd.v1.response_pb2 import Response
from facade.shapes import Field, Kind, Shape, Type, shape_of

# Objects whose every key appears.
WHOLE = frozenset({"Response", "FunctionTool", "JsonSchemaFormat", "ReasoningConfig"})
# Arrays that are left out where they are empty; all others appear.
OMITTED_IF_EMPTY = frozenset({"ReasoningItem.content"})
# Line feeds in JSON text can only be white space, and would break a frame in two.
ONE_LINE = {ord("\n"): " ", ord("\r"): " "}


def write_message(message: Message) -> Any:
    """The JSON value of a message."""
    return _write(message, shape_of(message.DESCRIPTOR))


def write_response(response: Response) -> dict[str, Any]:
    """The response as it stands in events: 31 keys."""
    fields: dict[str, Any] = write_message(response)
    return {"id": fields.pop("id"), "object": "response", **fields}


def write_whole_response(response: Response) -> dict[str, Any]:
    """The response as a JSON reply has it, with `output_text` beside the 31 keys."""
    return {**write_response(response), "output_text": output_text(response)}


def output_text(response: Response) -> str | None:
    """All text of all messages in the output, None if there is none."""
    parts = [part for item in response.output for part in item.message.content]
    texts = [part.output_text.text for part in parts if part.HasField("output_text")]
    return "".join(texts) if texts else None


def write_model(model: Model) -> dict[str, Any]:
    fields: dict[str, Any] = write_message(model)
    return {"id": fields.pop("id"), "object": "model", **fields}


def write_compacted(compacted: CompactedResponse) -> dict[str, Any]:
    fields: dict[str, Any] = write_message(compacted)
    return {"id": fields.pop("id"), "object": "response.compaction", **fields}


def write_page(page: ListInputItemsResponse) -> dict[str, Any]:
    """A page of a list, with the ids of its ends, null if it is empty."""
    return {"object": "list", "first_id": None, "last_id": None, **write_message(page)}


def _write(message: Message, shape: Shape) -> Any:
    # Of these up to 21 come with each token: they do not take the general way.
    if isinstance(message, LogProb):
        return {**_logprob(message), "top_logprobs": [_logprob(top) for top in message.top_logprobs]}
    match shape.kind:
        case Kind.OBJECT:
            return _object(message, shape)
        case Kind.LIST:
            field = next(iter(shape.fields.values()))
            return _list(getattr(message, field.name), field)
    ((oneof, _),) = message.DESCRIPTOR.oneofs_by_name.items()
    name = message.WhichOneof(oneof)
    if name is None:
        return None
    field = shape.fields[name]
    value = _value(getattr(message, name), field)
    bare = shape.kind is Kind.FORM or field.shape is None
    return value if bare else {"type": name, **value}


def _object(message: Message, shape: Shape) -> dict[str, Any]:
    whole = shape.name in WHOLE
    written: dict[str, Any] = {}
    for name, field in shape.fields.items():
        value = _field(message, name, field, shape)
        if value is not None or whole:
            written[name] = value
    rewrite = REWRITES.get(shape.name)
    return written if rewrite is None else rewrite(written)


def _field(message: Message, name: str, field: Field, shape: Shape) -> Any:
    value = getattr(message, name)
    if field.repeated:
        return None if not value and f"{shape.name}.{name}" in OMITTED_IF_EMPTY else _list(value, field)
    if field.type is Type.MAP:
        return dict(value)
    if (field.optional or field.shape is not None) and not message.HasField(name):
        return None
    return _value(value, field)


def _list(values: Any, field: Field) -> list[Any]:
    return [_value(value, field) for value in values]


def _value(value: Any, field: Field) -> Any:
    if field.shape is not None:
        return _write(value, field.shape)
    match field.type:
        case Type.ENUM:
            assert field.choices is not None
            return field.choices.json_by_number.get(value)
        case Type.BYTES:
            return list(value)
        case Type.JSON:
            return orjson.Fragment(value.translate(ONE_LINE))
    return value


def _logprob(message: LogProb | TopLogProb) -> dict[str, Any]:
    return {"token": message.token, "logprob": message.logprob, "bytes": list(message.bytes)}


def _json_schema(written: dict[str, Any]) -> dict[str, Any]:
    return {**written, "strict": bool(written["strict"])}


def _allowed_tools(written: dict[str, Any]) -> dict[str, Any]:
    tools = [{"type": "function", **tool} for tool in written["tools"]]
    return {**written, "mode": written.get("mode", "auto"), "tools": tools}


# What a strict client wants that the message does not say.
REWRITES: Mapping[str, Any] = {"JsonSchemaFormat": _json_schema, "AllowedTools": _allowed_tools}
