"""Puts settings into words: the table of all of them, and the one sentence about a wrong one.

It knows pydantic's fields and errors, and no setting by name.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from common.arguments import Given, flag_of, variable_of

# A default that needs an earlier setting cannot be made when that one is wrong; the earlier one is what to report.
CONSEQUENCES = frozenset({"default_factory_not_called"})


class SettingRow(NamedTuple):
    """One line of the table of settings. `name` is the variable."""

    name: str
    default: str
    description: str


def rows_of(fields: Mapping[str, FieldInfo]) -> tuple[SettingRow, ...]:
    return tuple(
        SettingRow(variable_of(name), _default_of(field), field.description or "") for name, field in fields.items()
    )


def help_text(rows: Iterable[SettingRow]) -> str:
    """What --help prints, at most 100 columns wide."""
    lines = ["Each setting is an environment variable and a flag of the same name; a flag wins.", ""]
    for row in rows:
        lines.append(f"  {row.name}, {flag_of(row.name.removeprefix('ANSWERD_').lower())}")
        text = f"{row.description} Default: {row.default}."
        lines += textwrap.wrap(text, 100, initial_indent=" " * 6, subsequent_indent=" " * 6, break_on_hyphens=False)
    return "\n".join(lines)


def sentence_of(error: ValueError, fields: Mapping[str, FieldInfo], given: Mapping[str, Given]) -> str:
    """The first problem of a ValidationError as one sentence with the variable, the bad value and what is allowed."""
    assert isinstance(error, ValidationError)
    first = next(problem for problem in error.errors() if problem["type"] not in CONSEQUENCES)
    own_words = str(first["ctx"]["error"]) if first["type"] == "value_error" else None
    if not first["loc"]:
        assert own_words is not None
        return own_words
    name = str(first["loc"][0])
    value = given.get(name, Given(str(first["input"]), variable_of(name)))
    origin = "" if value.origin == variable_of(name) else f" (from {value.origin})"
    return f"{variable_of(name)}{origin} is {value.text!r}, but must be {own_words or allowed(fields[name])}."


def _default_of(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "shown" in extra:
        return str(extra["shown"])
    if field.default is None:
        return "none"
    return str(field.default).lower() if isinstance(field.default, bool) else str(field.default)


def allowed(field: FieldInfo) -> str:
    """The values of a field, as the end of a sentence."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    annotation = kinds[0] if NoneType in get_args(field.annotation) else field.annotation
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(get_args(annotation))}"
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return _allowed_number("a whole number" if annotation is int else "a number", field.metadata)
    return "a path"


def _allowed_number(noun: str, metadata: Iterable[Any]) -> str:
    least = next((limit.ge for limit in metadata if hasattr(limit, "ge")), None)
    most = next((limit.le for limit in metadata if hasattr(limit, "le")), None)
    if least is not None and most is not None:
        return f"{noun} from {least} to {most}"
    return noun if least is None else f"{noun} of at least {least}"
