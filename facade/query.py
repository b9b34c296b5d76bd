"""Reads the query of a URL into a message of the contract. It knows no routes."""

from __future__ import annotations

import re

from google.protobuf.message import Message
from multidict import MultiMapping

from facade.reader import invalid_type, read_field
from facade.shapes import Field, Type, shape_of

INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


def read_query(query: MultiMapping[str], into: Message) -> None:
    """Reads the keys that are fields of the message; `key[]` is another spelling of one that may be repeated.

    Raises ApiError for a value of the wrong type. Other keys are none of its business.
    """
    for name, field in shape_of(into.DESCRIPTOR).fields.items():
        given = [*query.getall(name, []), *query.getall(f"{name}[]", [])]
        if field.repeated:
            read_field(given, into, name, name)
        elif given:
            read_field(_value(given[-1], field), into, name, name)


def _value(text: str, field: Field) -> str | int:
    if field.type is not Type.INT:
        return text
    if not INTEGER.fullmatch(text):
        raise invalid_type(field.name, "an integer", text)
    return int(text)
