"""Reads the body of POST /v1/responses: the message for the service, and what concerns HTTP alone.

It knows the other spellings of keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.protobuf.message import Message

from answerd.v1.create_response_pb2 import CreateResponseRequest
from facade.reader import invalid_type, invalid_value, read_field, refuse, unknown
from facade.shapes import shape_of
from facade.unsupported import KEYS

CHUNKS = "chunks"
# Of the contract alone: the WebSocket mode sets it itself.
NOT_IN_JSON = frozenset({"unstored_parent_id"})
KNOWN = frozenset(shape_of(CreateResponseRequest.DESCRIPTOR).fields) - NOT_IN_JSON


@dataclass(frozen=True)
class CreateRequest:
    """A request as it was sent: the message for the service, and whether a stream or one object is wanted.

    `chunks`: whether a stream is to have the form of chunks instead of events. `keys`: the top-level keys of the
    message in the client's order and spelling, without those that are null.
    """

    message: CreateResponseRequest
    stream: bool
    chunks: bool = False
    keys: tuple[str, ...] = ()


class Alias(NamedTuple):
    """Another spelling: the path of the field it means, and how its value becomes that field's."""

    target: tuple[str, ...]
    convert: Callable[[Any, str], Any] = lambda value, _: value


def _truncation(value: Any, path: str) -> str:
    if not isinstance(value, bool):
        raise invalid_type(path, "a boolean", value)
    return "auto" if value else "disabled"


ALIASES: Mapping[str, Alias] = {
    "max_tokens": Alias(("max_output_tokens",)),
    "max_completion_tokens": Alias(("max_output_tokens",)),
    "messages": Alias(("input",)),
    "n": Alias(("n_choices",)),
    "stop_seqs": Alias(("stop",)),
    "reasoning_effort": Alias(("reasoning", "effort")),
    "truncate_sequence": Alias(("truncation",), _truncation),
    "response_format": Alias(("text", "format")),
}
# The fields that can be said twice.
ALIASED = frozenset(alias.target for alias in ALIASES.values())


def read_create_request(body: Mapping[str, Any]) -> CreateRequest:
    """The request in a JSON object. Raises ApiError for the first key, in document order, that has no place in it."""
    message = CreateResponseRequest()
    keys = read_keys(body, message, HTTP_KEYS)
    return CreateRequest(message, body.get("stream") is True, body.get("stream_format") == CHUNKS, keys)


def read_keys(
    body: Mapping[str, Any], message: Message, beside: Mapping[str, Callable[[object, str], None]] | None = None
) -> tuple[str, ...]:
    """Reads a JSON object into `message`, whose fields are among those of CreateResponseRequest.

    beside: keys that have no field, and what checks their values. Returns the keys that say something. Raises ApiError
    for the first key, in document order, that has no place.
    """
    known = {*shape_of(message.DESCRIPTOR).fields} - NOT_IN_JSON
    known.update(key for key, alias in ALIASES.items() if alias.target[0] in known)
    keys = []
    for key, value in body.items():
        if beside is not None and key in beside:
            beside[key](value, key)
        elif key not in known:
            refuse(key, value, KEYS, key)
        elif value is not None:
            _read(key, value, message)
            keys.append(key)
    return tuple(keys)


def _read(key: str, value: Any, message: Message) -> None:
    alias = ALIASES.get(key, Alias((key,)))
    said = type(message)()
    *outer, name = alias.target
    holder: Message = said
    for field in outer:
        holder = getattr(holder, field)
    value = alias.convert(value, key)
    if name == "stop" and isinstance(value, str):
        value = [value]
    read_field(value, holder, name, key)
    for target in ALIASED:
        if target[0] not in message.DESCRIPTOR.fields_by_name:
            continue
        _forget_repetition(target, said, message, key)
    message.MergeFrom(said)


def _forget_repetition(target: tuple[str, ...], said: Message, message: Message, key: str) -> None:
    """Refuses a second value for one field, and drops a repetition of the first, which would be merged into it."""
    *outer, name = target
    for field in outer:
        said, message = getattr(said, field), getattr(message, field)
    if not _is_set(said, name) or not _is_set(message, name):
        return
    if getattr(said, name) != getattr(message, name):
        raise invalid_value(key, f"another spelling of '{'.'.join(target)}' in this request has a different value.")
    said.ClearField(name)


def _is_set(message: Message, name: str) -> bool:
    return any(field.name == name for field, _ in message.ListFields())


def _check_stream(value: object, key: str) -> None:
    if value is not None and not isinstance(value, bool):
        raise invalid_type(key, "a boolean", value)


def _check_stream_options(value: object, key: str) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise invalid_type(key, "an object", value)
    for name, option in value.items():
        if name != "include_obfuscation":
            raise unknown(f"{key}.{name}")
        _check_stream(option, f"{key}.{name}")


def _check_tier(value: object, key: str) -> None:
    if value is not None:
        read_field(value, CreateResponseRequest(), key, key)


def _check_stream_format(value: object, key: str) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise invalid_type(key, "a string", value)
    if value not in ("events", CHUNKS):
        raise invalid_value(key, f"'{value[:100]}' is none of 'events', '{CHUNKS}'.")


# Keys that concern HTTP alone, and what checks their values.
HTTP_KEYS: Mapping[str, Callable[[object, str], None]] = {
    "stream": _check_stream,
    "stream_options": _check_stream_options,
    "stream_format": _check_stream_format,
}
# A hint that the contract has no field for where a conversation is compacted.
COMPACT_HINTS: Mapping[str, Callable[[object, str], None]] = {"service_tier": _check_tier}
