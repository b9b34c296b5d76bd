"""Keys with two spellings: either will do, both may agree, and none may contradict the other."""

from typing import Any

import pytest

from facade.create_request import ALIASES
from tests.facade.reading import read, refusal

SPELLINGS: dict[str, tuple[Any, Any, Any]] = {
    # alias: a value, the same value in the canonical spelling, another value in the canonical spelling
    "max_tokens": (5, {"max_output_tokens": 5}, {"max_output_tokens": 6}),
    "max_completion_tokens": (5, {"max_output_tokens": 5}, {"max_output_tokens": 6}),
    "messages": ("hi", {"input": "hi"}, {"input": [{"role": "user", "content": "hi"}]}),
    "n": (2, {"n_choices": 2}, {"n_choices": 3}),
    "stop_seqs": ("a", {"stop": ["a"]}, {"stop": ["a", "b"]}),
    "reasoning_effort": ("low", {"reasoning": {"effort": "low"}}, {"reasoning": {"effort": "high"}}),
    "truncate_sequence": (True, {"truncation": "auto"}, {"truncation": "disabled"}),
    "response_format": (
        {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
        {"text": {"format": {"type": "json_schema", "name": "s", "schema": {}}}},
        {"text": {"format": {"type": "text"}}},
    ),
}


def test_every_alias_is_tested() -> None:
    assert SPELLINGS.keys() == ALIASES.keys()


@pytest.mark.parametrize("alias", SPELLINGS)
def test_an_alias_means_the_canonical_key(alias: str) -> None:
    value, same, _ = SPELLINGS[alias]
    assert read(**{alias: value}) == read(**same)


@pytest.mark.parametrize("alias", SPELLINGS)
def test_one_value_in_two_spellings_is_said_once(alias: str) -> None:
    value, same, _ = SPELLINGS[alias]
    assert read(**{alias: value}, **same) == read(**same, **{alias: value}) == read(**same)


@pytest.mark.parametrize("alias", SPELLINGS)
def test_two_values_in_two_spellings_are_refused_at_the_second(alias: str) -> None:
    value, _, other = SPELLINGS[alias]
    assert refusal({alias: value, **other}) == ("INVALID_VALUE", next(iter(other)))
    assert refusal({**other, alias: value}) == ("INVALID_VALUE", alias)


def test_null_in_one_spelling_contradicts_nothing() -> None:
    assert read(max_tokens=None, max_output_tokens=5) == {"max_output_tokens": "5"}


def test_an_alias_leaves_what_stands_beside_its_field() -> None:
    assert read(reasoning={"summary": "auto"}, reasoning_effort="low") == {
        "reasoning": {"effort": "REASONING_EFFORT_LOW", "summary": "REASONING_SUMMARY_AUTO"}
    }
