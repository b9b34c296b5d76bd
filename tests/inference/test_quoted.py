"""Foreign text in our messages."""

from __future__ import annotations

from typing import Any

import pytest

from inference.quoted import LONGEST, printable, quoted

HOSTILE = "a\nb\x1b[31mc\u202ed\x00e"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("llama", "'llama'"),
        ("größer", "'größer'"),
        ("it's", '"it\'s"'),
        (HOSTILE, "'a\\nb\\x1b[31mc\\u202ed\\x00e'"),
        (3, "3"),
        (True, "True"),
        ([1, "\n"], "[1, '\\n']"),
        (None, "None"),
    ],
)
def test_a_value_is_shown_as_it_would_be_written(value: object, shown: str) -> None:
    assert quoted(value) == shown


def test_what_does_not_show_is_escaped() -> None:
    assert printable(HOSTILE) == "a\\nb\\x1b[31mc\\u202ed\\x00e"
    assert printable("two words, größer") == "two words, größer"


def nested() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["n" * 5000, ["n" * 5000], "\n" * 5000, 0x10**6000, [0] * 5000, nested()], ids=type)
def test_nothing_is_shown_at_length(value: object) -> None:
    assert len(quoted(value)) < 3 * LONGEST
    assert quoted(value).isprintable()
