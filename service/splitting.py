"""A conversation that is too long for one prompt, in pieces that are read one after the other.

It knows no template and no tokens but their number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from answerd.v1.item_pb2 import Item
from inference.types import ContextLengthExceeded
from service.truncation import cuts_of

# Each piece is a prompt to be read and a summary to be written.
MAX_PIECES = 16

Tokens = Callable[[Sequence[Item]], Awaitable[int]]


async def pieces_of(items: Sequence[Item], tokens: Tokens, room: int) -> list[Sequence[Item]]:
    """The items in order, in as few pieces as go: each at most `room` tokens, no call torn from its output.

    tokens: of the prompt that items make; raises ContextLengthExceeded for one that is too long for the model. So does
    this, if what cannot be split is too long, or the pieces are more than MAX_PIECES.
    """
    ends = [*cuts_of(items), len(items)]

    async def fits(begin: int, end: int) -> bool:
        try:
            return await tokens(items[begin:end]) <= room
        except ContextLengthExceeded:
            return False

    pieces: list[Sequence[Item]] = []
    begin = 0
    while begin < len(items):
        later = [end for end in ends if end > begin]
        end = await _last(later, lambda end, begin=begin: fits(begin, end))  # type: ignore[misc] # bound at once
        if end is None or len(pieces) == MAX_PIECES:
            raise ContextLengthExceeded(room + 1, room, at_least=True)
        pieces.append(items[begin:end])
        begin = end
    return pieces


async def _last(candidates: Sequence[int], fits: Callable[[int], Awaitable[bool]]) -> int | None:
    """The last of the candidates that fits, where none after one that does not does; None if none does."""
    if await fits(candidates[-1]):
        return candidates[-1]
    known, beyond = -1, len(candidates) - 1
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if await fits(candidates[middle]):
            known = middle
        else:
            beyond = middle
    return candidates[known] if known >= 0 else None
