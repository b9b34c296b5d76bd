"""Collects the faults of one request and puts them into document order. Knows how a rule is worded, but no field."""

from __future__ import annotations

import json
import re
from collections.abc import Container
from typing import Any

from answerd.v1.create_response_pb2 import CreateResponseRequest
from inference.grammar.grammar import MAX_LENGTH
from service.errors import InvalidRequest, Reason, Violation, quoted

MAX_TEXT = 10_485_760
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
FIELD_NUMBERS = {field.name: field.number for field in CreateResponseRequest.DESCRIPTOR.fields}
MAX_KEY_IN_PATH = 64
# Whoever made so many mends them first; a client is told fewer.
MAX_FAULTS = 100


class Faults:
    """The faults found so far. A path has one fault at most: the first that was found."""

    def __init__(self) -> None:
        self._violations: dict[str, Violation] = {}

    def add(self, path: str, reason: Reason, message: str) -> None:
        """Raises InvalidRequest when there are so many that looking for more is no use."""
        self._violations.setdefault(path, Violation(path, reason, message))
        if len(self._violations) >= MAX_FAULTS:
            self.check()

    def invalid(self, path: str, message: str) -> None:
        self.add(path, Reason.INVALID_VALUE, message)

    def missing(self, path: str) -> None:
        self.add(path, Reason.MISSING_REQUIRED_PARAMETER, f"Missing required parameter: '{path}'.")

    def number(self, path: str, value: float, lowest: float, highest: float | None = None) -> None:
        """The value must lie in the range, ends included; NaN lies in none."""
        fits = lowest <= value < float("inf") if highest is None else lowest <= value <= highest
        if not fits:
            rule = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            self.invalid(path, f"'{path}' must be {rule}, but is {value:g}.")

    def positive(self, path: str, value: float) -> None:
        if not 0 < value < float("inf"):
            self.invalid(path, f"'{path}' must be above 0, but is {value:g}.")

    def length(self, path: str, text: str, longest: int) -> None:
        if len(text) > longest:
            self.invalid(path, f"'{path}' must have at most {longest} characters, but has {len(text)}.")

    def choice(self, path: str, value: int, choices: Container[int]) -> None:
        if value not in choices:
            self.invalid(path, f"'{path}' has the value {value}, which is none of the choices.")

    def name(self, path: str, name: str) -> None:
        """A function's or schema's name."""
        if not name:
            self.missing(path)
        elif not NAME.fullmatch(name):
            self.invalid(path, f"'{path}' must be 1 to 64 letters, digits, _ or -, but is {quoted(name)}.")

    def json_object(self, path: str, text: str) -> None:
        """JSON text of an object, of a length that is parsed within milliseconds."""
        if len(text) > MAX_LENGTH:
            self.length(path, text, MAX_LENGTH)
        elif not isinstance(_parsed(text), dict):
            self.invalid(path, f"'{path}' must be a JSON object.")

    def has(self, path: str) -> bool:
        return path in self._violations

    def check(self) -> None:
        """Raises InvalidRequest with all faults, if there are any."""
        if self._violations:
            raise InvalidRequest(sorted(self._violations.values(), key=_place))


def key_path(field: str, key: object) -> str:
    """The path of an entry of a map. Keys are the caller's own, so a long one is cut."""
    return f"{field}.{str(key)[:MAX_KEY_IN_PATH]}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _place(violation: Violation) -> tuple[int, list[int], int]:
    """Sorts like the contract's fields, then by index, then parents before children."""
    top = re.split(r"[.\[]", violation.path, maxsplit=1)[0]
    indexes = [int(index) for index in re.findall(r"\[(\d+)\]", violation.path)] if top != "metadata" else []
    return FIELD_NUMBERS.get(top, 0), indexes, violation.path.count(".")
