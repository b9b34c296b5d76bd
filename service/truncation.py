"""What is left out of a conversation that is too long, for a request with `truncation: auto`.

Policy alone: which items go together and how many go. It knows no template and no tokens but their number.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from itertools import accumulate, pairwise

from answerd.v1.item_pb2 import Item, Role
from inference.types import ContextLengthExceeded

SYSTEM_ROLES = frozenset({Role.ROLE_SYSTEM, Role.ROLE_DEVELOPER})
# The most of the context that is kept free for the answer.
ANSWER_SHARE = 4
# Bytes for a token of the room that are left out at a time: an eighth of it, at four bytes a token.
BLOCK = 0.5

Prompt = tuple[int, ...]
Encode = Callable[[Sequence[Item]], Awaitable[Prompt]]


def room_for_prompt(context: int, budget: int) -> int:
    """The tokens that a prompt may have so that the answer has its budget, or a quarter of the context."""
    return context - min(budget, context // ANSWER_SHARE)


async def fitting_prompt(items: Sequence[Item], encode: Encode, room: int) -> Prompt:
    """The prompt of a conversation without its oldest items, so many that it has at most `room` tokens.

    encode: from items to their prompt; raises ContextLengthExceeded for one that leaves an answer no place at all. So
    does this, if what always stays is as long as that; if it is only longer than `room`, the answer gets the rest.
    """
    groups = groups_of(items)

    def without(count: int) -> list[Item]:
        gone = {place for group in groups[:count] for place in group}
        return [item for place, item in enumerate(items) if place not in gone]

    async def attempt(count: int) -> Prompt | None:
        try:
            prompt = await encode(without(count))
        except ContextLengthExceeded:
            return None
        return prompt if len(prompt) <= room else None

    whole = await attempt(0)
    if whole is not None:
        return whole
    too_few, enough = 0, len(groups)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if await attempt(middle) is None:
            too_few = middle
        else:
            enough = middle
    return await encode(without(in_blocks([_size(items, group) for group in groups], enough, room * BLOCK)))


def in_blocks(sizes: Sequence[int], fewest: int, block: float) -> int:
    """How many groups go, where the first `fewest` have to: as many more as fill up a block.

    Blocks are counted from the beginning of the conversation. So the next turns, which are a little longer, leave out
    the same, and begin with a prompt that the engine has read already.
    """
    ends = [0, *accumulate(sizes)]
    border = -(-ends[fewest] // block) * block
    return next((count for count in range(fewest, len(ends)) if ends[count] >= border), fewest)


def groups_of(items: Sequence[Item]) -> list[list[int]]:
    """The places of items that only go together, oldest first. What always stays is in none of them: system text,
    what stands for a conversation that was compacted, the last message of the user, and the last group.

    Before the last message of the user a turn is a group, beginning with the user's message; after it, a call and its
    output, with whatever lies between them, and a thought with what it led to.
    """
    places = [place for place, item in enumerate(items) if not _always_stays(item)]
    starts, last_user = _starts(items, places)
    groups = [range(start, end) for start, end in pairwise([*starts, len(places)])]
    return [[places[index] for index in group] for group in groups[:-1] if last_user not in group]


def cuts_of(items: Sequence[Item]) -> list[int]:
    """The places before which a conversation may be cut in two."""
    places = [place for place, item in enumerate(items) if not _always_stays(item)]
    return [places[start] for start in _starts(items, places)[0][1:]]


def _starts(items: Sequence[Item], places: Sequence[int]) -> tuple[list[int], int]:
    """Which of the places begin a group, and which is the last message of the user, -1 for none; as indexes."""
    users = [index for index, place in enumerate(places) if items[place].message.role == Role.ROLE_USER]
    last_user = users[-1] if users else -1
    answered = {items[place].function_call_output.call_id: index for index, place in enumerate(places)}
    starts, open_until = [], -1
    for index, place in enumerate(places):
        after_thought = index > 0 and items[places[index - 1]].HasField("reasoning")
        begins = index == 0 or items[place].message.role == Role.ROLE_USER or index > last_user
        if begins and not after_thought and index > open_until:
            starts.append(index)
        if items[place].HasField("function_call"):
            open_until = max(open_until, answered.get(items[place].function_call.call_id, -1))
    return starts, last_user


def _always_stays(item: Item) -> bool:
    return item.message.role in SYSTEM_ROLES or item.HasField("compaction")


def _size(items: Sequence[Item], group: Sequence[int]) -> int:
    return sum(items[place].ByteSize() for place in group)
