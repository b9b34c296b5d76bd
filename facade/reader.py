"""Reads JSON into messages of the contract and refuses, with its path, what has no place in them.

It follows the shapes; what is special about a message stands in dialect.py. It judges types and names, never values:
that is the service's part, and the same for clients over gRPC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from google.protobuf.message import Message

from facade.dialect import IGNORED, LENIENT, NESTED, REQUIRED, REWRITES, json_text, reason_of_tag
from facade.errors import ApiError
from facade.shapes import Choices, Field, Kind, Shape, Type, shape_of
from facade.unsupported import PARTS, Quiet, asks_for_nothing, unsupported

_Message = TypeVar("_Message", bound=Message)

# What 64 bits can hold. Python itself refuses to read integers of some thousand digits.
KEY_DIGITS = 19

EXPECTED = {
    Type.STRING: "a string",
    Type.BOOL: "a boolean",
    Type.INT: "an integer",
    Type.DOUBLE: "a number",
    Type.ENUM: "a string",
    Type.JSON: "an object",
    Type.MAP: "an object",
}


def read_message(value: object, into: _Message, path: str) -> _Message:
    """Reads `value`, which stands at `path` of the request, into the empty message `into`, and returns it."""
    _read(value, into, shape_of(into.DESCRIPTOR), path)
    return into


def read_field(value: object, into: Message, name: str, path: str) -> None:
    """Reads `value`, which stands at `path` of the request and is not null, into one field of a message."""
    _read_field(value, into, shape_of(into.DESCRIPTOR).fields[name], path)


def missing(path: str) -> ApiError:
    return ApiError("MISSING_REQUIRED_PARAMETER", f"Missing required parameter: '{path}'.", path)


def unknown(path: str) -> ApiError:
    return ApiError("UNKNOWN_PARAMETER", f"Unknown parameter: '{path}'.", path)


def refuse(key: str, value: object, quiet: Mapping[str, Quiet], path: str) -> None:
    """Raises ApiError for a key that has no place, unless it is one of `quiet` with a value that asks for nothing."""
    if key not in quiet:
        raise unknown(path)
    if not asks_for_nothing(value, quiet[key]):
        raise unsupported(path)


def invalid_type(path: str, expected: str, value: object) -> ApiError:
    message = f"Invalid type for '{path}': expected {expected}, but got {kind_of(value)} instead."
    return ApiError("INVALID_TYPE", message, path)


def invalid_value(path: str, message: str) -> ApiError:
    return ApiError("INVALID_VALUE", f"Invalid value for '{path}': {message}", path)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    words = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    return words.get(type(value), "an object")


def _read(value: object, into: Message, shape: Shape, path: str) -> None:
    rewrite = REWRITES.get(shape.name)
    if rewrite is not None:
        value = rewrite(value)
    match shape.kind:
        case Kind.LIST:
            _read_field(value, into, next(iter(shape.fields.values())), path)
        case Kind.FORM:
            _read_form(value, into, shape, path)
        case Kind.CHOICE if isinstance(value, str):
            _read_field(value, into, shape.fields["mode"], path)
        case Kind.CHOICE | Kind.TAGGED:
            _read_tagged(value, into, shape, path)
        case Kind.OBJECT:
            _read_object(value, into, shape, path)


def _read_object(value: object, into: Message, shape: Shape, path: str) -> None:
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)
    ignored, quiet = IGNORED.get(shape.name, frozenset()), PARTS.get(shape.name, {})
    for key, inner in value.items():
        # Clients send back what they received with every key their own classes have; null says nothing.
        if inner is None or key in ignored:
            continue
        field = shape.fields.get(key)
        if field is None:
            refuse(key, inner, quiet, f"{path}.{key}")
        else:
            _read_field(inner, into, field, f"{path}.{key}")
    for key in REQUIRED.get(shape.name, ()):
        if value.get(key) is None:
            raise missing(f"{path}.{key}")


def _read_form(value: object, into: Message, shape: Shape, path: str) -> None:
    for field in shape.fields.values():
        if isinstance(value, str) if field.type is Type.STRING else isinstance(value, list):
            return _read_field(value, into, field, path)
    raise invalid_type(path, "a string or an array", value)


def _read_tagged(value: object, into: Message, shape: Shape, path: str) -> None:
    expected = "an object" if shape.kind is Kind.TAGGED else "a string or an object"
    if not isinstance(value, dict):
        raise invalid_type(path, expected, value)
    tag = value.get("type")
    if tag is None:
        raise missing(f"{path}.type")
    if not isinstance(tag, str):
        raise invalid_type(f"{path}.type", "a string", tag)
    field = shape.fields.get(tag)
    if field is None or field.shape is None:
        raise _unknown_tag(tag, shape, path)
    member: Message = getattr(into, tag)
    member.SetInParent()
    inner = {key: part for key, part in value.items() if key != "type"}
    if tag in NESTED.get(shape.name, ()) and isinstance(inner.get(tag), dict):
        _read_nested(inner, tag, member, field.shape, path)
    else:
        _read(inner, member, field.shape, path)


def _read_nested(value: dict[str, Any], tag: str, into: Message, shape: Shape, path: str) -> None:
    """The older form, {"type": "function", "function": {...}}, in which nothing stands beside the inner object."""
    for key, inner in value.items():
        if key == tag:
            _read(inner, into, shape, f"{path}.{tag}")
        elif inner is not None:
            raise unknown(f"{path}.{key}")


def _unknown_tag(tag: str, shape: Shape, path: str) -> ApiError:
    reason = reason_of_tag(shape.name, tag)
    if reason != "INVALID_VALUE":
        # The whole part or tool is at fault, not the word that names it.
        return ApiError(reason, f"'{tag[:100]}' at '{path}' is not supported.", path)
    tags = [field.name for field in shape.fields.values() if field.shape is not None]
    return invalid_value(f"{path}.type", f"'{tag[:100]}' is none of {_listed(tags)}.")


def _read_field(value: object, into: Message, field: Field, path: str) -> None:
    if field.repeated:
        _read_list(value, getattr(into, field.name), field, path)
    elif field.shape is not None:
        member: Message = getattr(into, field.name)
        member.SetInParent()
        _read(value, member, field.shape, path)
    elif field.type is Type.MAP:
        _read_map(value, getattr(into, field.name), field, path)
    else:
        scalar = _scalar(value, field, path)
        if scalar is not None:
            setattr(into, field.name, scalar)


def _read_list(value: object, into: Any, field: Field, path: str) -> None:
    if not isinstance(value, list):
        raise invalid_type(path, "an array", value)
    for index, inner in enumerate(value):
        where = f"{path}[{index}]"
        if field.shape is not None:
            _read(inner, into.add(), field.shape, where)
        else:
            into.append(_scalar(inner, field, where))


def _read_map(value: object, into: Any, field: Field, path: str) -> None:
    if not isinstance(value, dict):
        raise invalid_type(path, "an object", value)
    assert field.key is not None
    assert field.value is not None
    for key, inner in value.items():
        where = f"{path}.{key}"
        into[_map_key(key, field.key, where)] = _scalar(inner, field.value, where)


def _map_key(key: str, field: Field, path: str) -> str | int:
    if field.type is Type.STRING:
        return key
    if not (key.isascii() and key.isdigit() and len(key) <= KEY_DIGITS):
        raise invalid_value(path, f"the key must be an integer, in at most {KEY_DIGITS} digits.")
    return _integer(int(key), field, path)


def _scalar(value: object, field: Field, path: str) -> Any:
    """The value for protobuf; None for a word of a lenient enum that nobody knows."""
    match field.type, value:
        case Type.STRING, str():
            return value
        case Type.BOOL, bool():
            return value
        case Type.ENUM, str():
            assert field.choices is not None
            return _choice(value, field.choices, path)
        case Type.INT, int() | float() if not isinstance(value, bool) and value == int(value):
            return _integer(int(value), field, path)
        case Type.DOUBLE, int() | float() if not isinstance(value, bool):
            return _double(value, path)
        case Type.JSON, dict():
            return json_text(value)
    raise invalid_type(path, EXPECTED[field.type], value)


def _choice(value: str, choices: Choices, path: str) -> int | None:
    number = choices.number_by_json.get(value)
    if number is None and choices.name not in LENIENT:
        raise invalid_value(path, f"'{value[:100]}' is none of {_listed(choices.number_by_json)}.")
    return number


def _integer(value: int, field: Field, path: str) -> int:
    low, high = field.limits
    if not low <= value <= high:
        raise invalid_value(path, f"it must be an integer from {low} to {high}.")
    return value


def _double(value: float, path: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise invalid_value(path, "the number is too large.") from None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)
