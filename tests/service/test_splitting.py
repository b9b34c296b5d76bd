"""A conversation in pieces: in order, whole, each short enough, and no call torn from its output."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.item_pb2 import Item
from inference.types import ContextLengthExceeded
from service.splitting import MAX_PIECES, pieces_of
from tests.service.test_truncation import KINDS, conversation

ROOM = 6


async def count(items: Sequence[Item]) -> int:
    return len(items)


@given(st.lists(st.sampled_from(KINDS), max_size=40, unique_by=lambda kind: kind if kind[1:] else object()))
async def test_the_pieces_are_the_conversation_and_each_fits(kinds: list[str]) -> None:
    items = conversation(kinds)
    try:
        pieces = await pieces_of(items, count, ROOM)
    except ContextLengthExceeded:
        return
    assert [item for piece in pieces for item in piece] == items
    assert all(0 < len(piece) <= ROOM for piece in pieces)
    for piece in pieces:
        calls = {item.function_call.call_id for item in piece if item.HasField("function_call")}
        outputs = {item.function_call_output.call_id for item in piece if item.HasField("function_call_output")}
        answered = {item.function_call_output.call_id for item in items} & {i.function_call.call_id for i in items}
        torn = (calls ^ outputs) & (answered - {""})
        assert all(kinds.index(f"c{id}") > kinds.index(f"o{id}") for id in torn)


async def test_there_are_as_few_as_go_and_few_tries() -> None:
    tries = 0

    async def counted(items: Sequence[Item]) -> int:
        nonlocal tries
        tries += 1
        return len(items)

    pieces = await pieces_of(conversation(["u", "a"] * 30), counted, 16)
    assert [len(piece) for piece in pieces] == [16, 16, 16, 12]
    assert tries <= 4 * 6


async def test_what_is_too_long_for_the_model_counts_as_too_long() -> None:
    async def refusing(items: Sequence[Item]) -> int:
        if len(items) > 3:
            raise ContextLengthExceeded(len(items), 3)
        return len(items)

    assert len(await pieces_of(conversation(["u"] * 9), refusing, 100)) == 3


@pytest.mark.parametrize("kinds", [["u", "a", "a", "a", "u"], ["u"] * (2 * MAX_PIECES + 1)])
async def test_what_cannot_be_split_or_takes_too_many_pieces_is_refused(kinds: list[str]) -> None:
    with pytest.raises(ContextLengthExceeded):
        await pieces_of(conversation(kinds), count, 2)


async def test_the_most_pieces_there_may_be_are_made() -> None:
    assert len(await pieces_of(conversation(["u"] * 2 * MAX_PIECES), count, 2)) == MAX_PIECES
