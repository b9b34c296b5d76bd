"""Text of somebody else's file for a message of ours: bounded, on one line, and harmless to a terminal."""

from __future__ import annotations

LONGEST = 80


def printable(text: str, longest: int = LONGEST) -> str:
    """The text with an escape for every character that does not show, a newline for instance; its rest is left out."""
    kept = text[:longest] + "…" * (len(text) > longest)
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in kept)


def quoted(value: object, longest: int = LONGEST) -> str:
    """A string in quotes, and anything else as Python writes it, likewise bounded."""
    if isinstance(value, str):
        return repr(value[:longest] + "…" * (len(value) > longest))
    try:
        return printable(repr(value), longest)
    except (ValueError, RecursionError):  # a number of thousands of digits, lists that nest without end
        return f"a {type(value).__name__} too large to be shown"
