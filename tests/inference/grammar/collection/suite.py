"""The schemas of the JSON Schema Test Suite, what is refused of them and why, and whether a text is valid."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from inference.grammar.grammar import Grammar, GrammarKind
from tests.support.formats import FORMATS

HERE = Path(__file__).parent
REFUSED = HERE / "refused.txt"
FARTHEST = 400


@dataclass(frozen=True)
class Entry:
    """A schema, and the suite's own instances that are valid against it, or not. place: its name, unique."""

    place: str
    schema: Any
    instances: list[tuple[bool, Any]]

    def grammar(self, *, lenient: bool = False) -> Grammar:
        return Grammar(GrammarKind.JSON_SCHEMA, json.dumps(self.schema), lenient)


SUITE = [Entry(*line) for line in json.loads((HERE / "draft2020-12.json").read_text(encoding="utf-8"))]


def refusals() -> dict[str, str]:
    """The reasons that are written down, by place."""
    lines = REFUSED.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" | ", 1) for line in lines)


def is_valid(schema: Any, text: str) -> bool:
    """Whether it is JSON that keeps to the schema. Decimal fractions are exact: 4739155.1 is a multiple of 0.0001."""
    with localcontext(prec=2000):
        schema = json.loads(json.dumps(schema), parse_float=_number)
        validator = Draft202012Validator(schema, format_checker=FORMATS)
        return validator.is_valid(json.loads(text, parse_float=_number))


def _number(text: str) -> Decimal:
    """Exponents are cut to what can be computed with; no bound of a schema lies beyond."""
    digits, _, exponent = text.lower().partition("e")
    return Decimal(digits).scaleb(max(-FARTHEST, min(int(exponent or 0), FARTHEST)))
