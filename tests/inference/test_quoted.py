"""A text from a file cannot do anything to the terminal or the log line that it is quoted in."""

import pytest

from inference.quoted import quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("llama", "'llama'"),
        ("größe 大", "'größe 大'"),
        ("a\nb\tc\x1b[31m\x00", r"'a\nb\tc\x1b[31m\x00'"),
        ("left\u202eright\u2028\ud800", r"'left\u202eright\u2028\ud800'"),
    ],
)
def test_a_quoted_text_is_printable_and_on_one_line(text: str, shown: str) -> None:
    assert quoted(text) == shown
    assert quoted(text).isprintable()


def test_a_long_text_is_cut() -> None:
    assert quoted("x" * 80) == f"'{'x' * 80}'"
    assert quoted("x" * 1_000_000) == f"'{'x' * 80}…'"
