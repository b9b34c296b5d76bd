"""How a sentence of ours quotes a text that somebody else wrote: on one line, printable, and not for long."""

from __future__ import annotations

_LONGEST = 80


def quoted(text: str) -> str:
    """The text in quotes, cut where it is long; what would move a cursor or turn the writing stands as escapes."""
    shown = "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:_LONGEST])
    return f"'{shown}'" if len(text) <= _LONGEST else f"'{shown}…'"
