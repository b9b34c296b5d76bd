"""The JSON Schema Test Suite: each schema is answered validly, or refused for the reason that is written down."""

from __future__ import annotations

import json
import os

import pytest

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import Grammar, GrammarKind
from tests.inference.grammar.answers import answer, takes
from tests.inference.grammar.collection.suite import REFUSED, SUITE, is_valid, refusals


def reason_against(compiler: GrammarCompiler, place: int, *, lenient: bool = False) -> str | None:
    try:
        compiler.compile(SUITE[place].grammar(lenient=lenient))
    except GrammarError as error:
        return str(error)
    return None


def test_the_collection_is_large() -> None:
    assert len({entry.place for entry in SUITE}) == len(SUITE) >= 300
    assert len(SUITE) - len(refusals()) > 150


def test_what_is_refused_of_it_and_why_is_written_down(compiler: GrammarCompiler) -> None:
    """REWRITE_GOLDEN=1 writes the reasons anew; the diff is the review."""
    reasons = [(entry.place, reason_against(compiler, place)) for place, entry in enumerate(SUITE)]
    written = "".join(f"{place} | {reason}\n" for place, reason in reasons if reason is not None)
    if os.environ.get("REWRITE_GOLDEN") == "1":
        REFUSED.write_text(written, encoding="utf-8")
    assert written == REFUSED.read_text(encoding="utf-8")


def formats() -> list[str]:
    """Those of the collection that are not refused."""
    refused = refusals()
    return [entry.schema["format"] for entry in SUITE if entry.place.endswith(" format") and entry.place not in refused]


def test_every_format_that_is_taken_is_checked() -> None:
    assert set(formats()) >= {"hostname", "uri", "duration", "email", "date-time"}
    assert [format for format in formats() if is_valid({"format": format}, '"no \\u0000 such"')] == []


@pytest.mark.parametrize("format", formats())
def test_every_string_that_is_to_have_a_format_has_it(compiler: GrammarCompiler, format: str) -> None:
    schema = {"type": "string", "format": format}
    first = compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)))
    texts = [answer(first.fork(), seed, temperature=seed % 3, longest=600) for seed in range(60)]
    ended = [text for text in texts if text is not None]
    assert len(ended) > 20
    assert [text for text in ended if not is_valid(schema, text)] == []


@pytest.mark.parametrize("seeds", [3, pytest.param(300, marks=pytest.mark.slow)], ids=["brief", "long"])
def test_every_answer_is_valid(compiler: GrammarCompiler, seeds: int) -> None:
    refused = refusals()
    for entry in SUITE:
        if entry.place in refused:
            continue
        first = compiler.compile(entry.grammar())
        texts = [answer(first.fork(), seed, temperature=seed % 3, longest=600) for seed in range(seeds)]
        ended = [text for text in texts if text is not None]
        assert ended, f"{entry.place}: no answer ends"
        assert [text for text in ended if not is_valid(entry.schema, text)] == [], entry.place


def test_no_instance_that_the_suite_calls_invalid_is_taken(compiler: GrammarCompiler) -> None:
    """Of the valid ones some are not, since JSON has one layout here, and names come in the schema's order."""
    refused, valid = refusals(), list[bool]()
    for entry in SUITE:
        if entry.place in refused:
            continue
        grammar = entry.grammar()
        for is_one, instance in entry.instances:
            taken = takes(compiler, grammar, json.dumps(instance, ensure_ascii=False))
            assert is_one or not taken, f"{entry.place}: {instance}"
            valid += [taken] * is_one
    assert sum(valid) > 0.9 * len(valid) > 300


def test_few_schemas_are_refused_that_need_not_be_kept_to_in_full(compiler: GrammarCompiler) -> None:
    """What is left to refuse has no meaning here: nothing satisfies it, or it lies in another document."""
    places = [place for place, entry in enumerate(SUITE) if entry.place in refusals()]
    reasons = [reason for place in places if (reason := reason_against(compiler, place, lenient=True))]
    known = ("is not a JSON object", "Unsatisfiable", "is not present", "disjoint", "positive integer", "many digits")
    assert [reason for reason in reasons if not any(words in reason for words in known)] == []
