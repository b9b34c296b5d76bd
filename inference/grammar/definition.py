"""From a grammar to what llguidance compiles, and what is refused before it comes to that. It knows no tokens."""

import json
from collections.abc import Iterator
from typing import Any

from llguidance import LLMatcher

from inference.grammar.errors import GrammarError
from inference.grammar.grammar import MAX_LENGTH, Grammar, GrammarKind
from inference.grammar.seconds import without_leap_seconds

# JSON on one line as `json.dumps` writes it. Where white space is free, a small model goes on with it for ever.
LAYOUT = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
# With "u", a property's name can be said a second time in other letters, past the schema of that property.
ESCAPES = '"\\bfnrt'
_SHORT_ESCAPES = frozenset("\b\f\n\r\t")


def definition_of(grammar: Grammar) -> str:
    """llguidance's text of the grammar, which may still be wrong. Raises GrammarError."""
    if len(grammar.text) > MAX_LENGTH:
        raise GrammarError(f"It has {len(grammar.text)} characters; at most {MAX_LENGTH} are taken.")
    match grammar.kind:
        case GrammarKind.REGEX:
            return LLMatcher.grammar_from_regex(grammar.text)
        case GrammarKind.LARK:
            return LLMatcher.grammar_from_lark(grammar.text)
        case GrammarKind.LLGUIDANCE:
            _parsed(grammar.text)
            return grammar.text
        case GrammarKind.JSON_SCHEMA:
            return _of_schema(grammar)


def json_rule(schema: str, *, lenient: bool = False) -> str:
    """The right side of a Lark rule for JSON of a schema, given as JSON text. Raises GrammarError."""
    tightened = without_leap_seconds(_parsed(schema))
    return "%json " + json.dumps({**tightened, "x-guidance": _options(schema, lenient=lenient)})


def _options(text: str, *, lenient: bool) -> dict[str, Any]:
    """How llguidance is to read a schema. Raises GrammarError for one that it would not enforce."""
    schema = _parsed(text)
    if not lenient and any(_counts_free_names(node) for node in _nodes(schema)):
        raise GrammarError("'minProperties' cannot be enforced where names are free: they might repeat.")
    escapes = ESCAPES + "u" * any(map(_needs_unicode_escape, _texts(schema)))
    return {**LAYOUT, "lenient": lenient, "coerce_one_of": lenient, "json_allowed_escapes": escapes}


def _of_schema(grammar: Grammar) -> str:
    options = _options(grammar.text, lenient=grammar.lenient)
    try:
        # As overrides, so that an `x-guidance` in the schema cannot loosen them.
        schema = json.dumps(without_leap_seconds(_parsed(grammar.text)))
        return LLMatcher.grammar_from_json_schema(schema, overrides=options)  # type: ignore[arg-type]
    except ValueError as error:
        raise GrammarError(str(error)) from error


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GrammarError(f"It is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise GrammarError("It is not a JSON object.")
    return value


def _walk(value: Any) -> Iterator[Any]:
    """The value and everything in it, names included. No recursion: whatever json.loads took is walked."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        yield value
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in _walk(value) if isinstance(each, dict))


def _texts(value: Any) -> Iterator[str]:
    return (each for each in _walk(value) if isinstance(each, str))


def _counts_free_names(node: dict[str, Any]) -> bool:
    least, required = node.get("minProperties"), node.get("required")
    named = len(set(map(str, required))) if isinstance(required, list) else 0
    if not isinstance(least, int | float) or least <= max(named, 1):
        return False
    return node.get("additionalProperties") is not False or "patternProperties" in node


def _needs_unicode_escape(text: str) -> bool:
    return any((char < " " and char not in _SHORT_ESCAPES) or char == "\x7f" for char in text)
