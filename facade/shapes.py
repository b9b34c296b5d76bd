"""How each message of the contract looks as JSON, worked out once from its descriptor.

The rules stand at the head of responses_service.proto. Both directions, reader and writer, follow these shapes, so a
field added to the contract has its JSON without a line here. It knows no values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

INT32 = (-(2**31), 2**31 - 1)
INT64 = (-(2**63), 2**63 - 1)

# Strings of the contract that hold JSON text and are the JSON value itself over HTTP.
JSON_TEXT = frozenset({"FunctionTool.parameters", "JsonSchemaFormat.schema"})

# The one enum whose JSON values have dots, which names in the contract cannot have.
INCLUDE_VALUES = (
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
)


class Kind(Enum):
    """What a message is in JSON."""

    OBJECT = auto()
    TAGGED = auto()  # the object of the field that is set, whose name is its `type`
    FORM = auto()  # the bare value of the field that is set
    LIST = auto()  # the array of its only field
    CHOICE = auto()  # a plain string, or tagged


class Type(Enum):
    """What a field holds."""

    STRING = auto()
    BOOL = auto()
    INT = auto()
    DOUBLE = auto()
    BYTES = auto()
    ENUM = auto()
    JSON = auto()  # JSON text
    MESSAGE = auto()
    MAP = auto()


@dataclass(frozen=True)
class Choices:
    """An enum: its JSON values by number and back. The unspecified value has no JSON."""

    name: str
    json_by_number: Mapping[int, str]
    number_by_json: Mapping[str, int]


@dataclass(frozen=True)
class Field:
    """One field. `optional`: unset differs from the zero value. `limits`: of an integer, inclusive."""

    name: str
    type: Type
    repeated: bool
    optional: bool
    limits: tuple[int, int] = INT64
    choices: Choices | None = None
    shape: Shape | None = None
    key: Field | None = None
    value: Field | None = None


@dataclass(frozen=True)
class Shape:
    """One message. `fields` by name, in the order of the contract."""

    name: str
    kind: Kind
    fields: Mapping[str, Field]


@cache
def shape_of(descriptor: Descriptor) -> Shape:
    """The shape of a message and, within it, of all messages that it holds."""
    fields = {field.name: _field(field) for field in descriptor.fields}
    return Shape(descriptor.name, _kind(descriptor), fields)


def _kind(descriptor: Descriptor) -> Kind:
    by_oneof = {"type": Kind.TAGGED, "form": Kind.FORM, "choice": Kind.CHOICE}
    for oneof in descriptor.oneofs:
        if oneof.name in by_oneof:
            return by_oneof[oneof.name]
    only = descriptor.fields[0] if len(descriptor.fields) == 1 else None
    return Kind.LIST if only is not None and _is_list(only) else Kind.OBJECT


def _is_list(field: FieldDescriptor) -> bool:
    return field.is_repeated and _map_entry(field) is None


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    entry = field.message_type
    return entry if entry is not None and entry.GetOptions().map_entry else None


def _field(field: FieldDescriptor) -> Field:
    entry = _map_entry(field)
    if entry is not None:
        key, value = (_field(entry.fields_by_name[name]) for name in ("key", "value"))
        return Field(field.name, Type.MAP, repeated=False, optional=False, key=key, value=value)
    return Field(
        name=field.name,
        type=_type(field),
        repeated=field.is_repeated,
        optional=field.has_presence and field.message_type is None,
        limits=INT32 if field.type == FieldDescriptor.TYPE_INT32 else INT64,
        choices=_choices(field.enum_type) if field.enum_type is not None else None,
        shape=shape_of(field.message_type) if field.message_type is not None else None,
    )


def _type(field: FieldDescriptor) -> Type:
    message = field.containing_type
    if message is not None and f"{message.name}.{field.name}" in JSON_TEXT:
        return Type.JSON
    return {
        FieldDescriptor.CPPTYPE_STRING: Type.BYTES if field.type == FieldDescriptor.TYPE_BYTES else Type.STRING,
        FieldDescriptor.CPPTYPE_BOOL: Type.BOOL,
        FieldDescriptor.CPPTYPE_INT32: Type.INT,
        FieldDescriptor.CPPTYPE_INT64: Type.INT,
        FieldDescriptor.CPPTYPE_DOUBLE: Type.DOUBLE,
        FieldDescriptor.CPPTYPE_ENUM: Type.ENUM,
        FieldDescriptor.CPPTYPE_MESSAGE: Type.MESSAGE,
    }[field.cpp_type]


@cache
def _choices(enum: EnumDescriptor) -> Choices:
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    dotted = {value.replace(".", "_"): value for value in INCLUDE_VALUES} if enum.name == "Include" else {}
    names = {value.number: value.name.removeprefix(prefix).lower() for value in enum.values if value.number}
    by_number = {number: dotted.get(name, name) for number, name in names.items()}
    return Choices(enum.name, by_number, {value: number for number, value in by_number.items()})
