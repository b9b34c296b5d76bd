"""What the text of an answer consists of. Pieces follow each other in the order in which the model said them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Text:
    """Words for the reader. start: where they begin in the model's whole text, in characters."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Thought:
    """Words that the model says to itself."""

    text: str


@dataclass(frozen=True, slots=True)
class CallBegin:
    """A call of a function begins; its arguments follow."""

    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of the JSON text of a call's arguments."""

    delta: str


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The arguments of a call are whole."""


Piece: TypeAlias = Text | Thought | CallBegin | CallArguments | CallEnd


def merged(pieces: Iterable[Piece]) -> list[Piece]:
    """The same pieces, with those that go on with the one before joined to it."""
    whole: list[Piece] = []
    for piece in pieces:
        match whole[-1] if whole else None, piece:
            case Text(before, start), Text(text, at) if start + len(before) == at:
                whole[-1] = Text(before + text, start)
            case Thought(before), Thought(text):
                whole[-1] = Thought(before + text)
            case CallArguments(before), CallArguments(delta):
                whole[-1] = CallArguments(before + delta)
            case _:
                whole.append(piece)
    return whole
