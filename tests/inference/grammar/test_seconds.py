"""Times under a schema end at second 59, and nothing else of the schema changes."""

import json
from typing import Any

import pytest

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import Grammar, GrammarKind
from inference.grammar.seconds import without_leap_seconds
from tests.inference.grammar.answers import answer


@pytest.mark.parametrize(
    ("schema", "start"),
    [
        ({"format": "date-time"}, 18),
        ({"type": "string", "format": "date-time", "pattern": "Z$"}, 18),
        ({"type": "string", "format": "time"}, 7),
        ({"allOf": [{"type": "string"}, {"format": "time"}]}, 7),
    ],
    ids=["date-time", "with a pattern of its own", "time", "nested"],
)
def test_no_time_has_a_second_60(compiler: GrammarCompiler, schema: dict[str, Any], start: int) -> None:
    first = compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, json.dumps({"type": "string", **schema})))
    texts = [text for seed in range(60) if (text := answer(first.fork(), seed, longest=100)) is not None]
    assert len(texts) > 20
    assert {text[start] for text in texts} <= set("012345")
    assert len({text[start] for text in texts}) > 3, "the seconds differ"


@pytest.mark.parametrize("keyword", ["const", "enum", "default", "examples"])
def test_data_that_looks_like_a_schema_is_left_alone(keyword: str) -> None:
    data = {keyword: [{"format": "date-time"}]}
    assert without_leap_seconds({"type": "object", **data}) == {"type": "object", **data}


def test_a_property_named_format_is_no_format() -> None:
    schema = {"properties": {"format": {"type": "string"}, "other": {"format": "date"}}}
    assert without_leap_seconds(json.loads(json.dumps(schema))) == schema
