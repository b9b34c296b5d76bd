"""Schemas made of pieces of the collection's: refused or answered validly, in bounded time."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator, SchemaError

from inference.grammar.compiler import GrammarCompiler
from inference.grammar.errors import GrammarError
from inference.grammar.grammar import Grammar, GrammarKind
from tests.inference.grammar.answers import answer
from tests.inference.grammar.collection.suite import SUITE, is_valid, refusals

WHOLE = [entry.schema for entry in SUITE if entry.place not in refusals()]
SECONDS = 3.0  # of this process; the one that tries grammars out has its own


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def patchwork(chance: random.Random) -> Any:
    """A schema in which up to three pieces are replaced by others' pieces, or merged with them."""
    schema = copy.deepcopy(chance.choice(WHOLE))
    for _ in range(chance.randint(1, 3)):
        other = chance.choice(WHOLE)
        piece = copy.deepcopy(at(other, chance.choice([*places(other)])))
        *outer, last = chance.choice([path for path in places(schema) if path] or [("$comment",)])
        holder = at(schema, tuple(outer))
        if isinstance(holder, dict) and isinstance(piece, dict) and chance.random() < 0.3:
            holder.update(piece)
        else:
            holder[last] = piece
    if chance.random() < 0.3:
        return {chance.choice(["allOf", "anyOf", "oneOf"]): [schema, copy.deepcopy(chance.choice(WHOLE))]}
    return schema


def is_schema(value: Any) -> bool:
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError:
        return False
    return True


@pytest.mark.parametrize("cases", [400, pytest.param(20_000, marks=pytest.mark.slow)], ids=["brief", "long"])
def test_a_patchwork_of_schemas_is_refused_or_answered_validly(compiler: GrammarCompiler, cases: int) -> None:
    answered = 0
    for seed in range(cases):
        schema = patchwork(random.Random(seed))
        begun = time.process_time()
        try:
            constraint = compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)))
        except GrammarError:
            continue
        finally:
            assert time.process_time() - begun < SECONDS
        text = answer(constraint, seed, longest=300)
        if text is not None and is_schema(schema):
            assert is_valid(schema, text), f"{seed}: {text} for {json.dumps(schema)}"
            answered += 1
    assert answered > cases / 10
