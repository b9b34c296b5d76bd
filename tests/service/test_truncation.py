"""What `truncation: auto` leaves out, what always stays, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import Item
from answerd.v1.truncation_pb2 import Truncation
from inference.types import ContextLengthExceeded
from service.truncation import fitting_prompt, groups_of, in_blocks, room_for_prompt
from tests.service.conftest import ANSWERS
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, refusal, serving, text_of
from tests.service.test_counting import counted
from tests.service.test_history import item_list, say

AUTO = Truncation.TRUNCATION_AUTO
KINDS = ("u", "a", "s", "d", "t", "m", "c1", "c2", "o1", "o2")


def an_item(kind: str) -> dict[str, Any]:
    """u, a, s, d: messages by role; t: a thought; m: a compacted conversation; c1, o1: a call and its output."""
    match kind:
        case "t":
            return {"reasoning": {}}
        case "m":
            return {"compaction": {}}
        case "c1" | "c2":
            return {"functionCall": {"callId": kind[1], "name": "f"}}
        case "o1" | "o2":
            return {"functionCallOutput": {"callId": kind[1]}}
    return say({"u": "USER", "a": "ASSISTANT", "s": "SYSTEM", "d": "DEVELOPER"}[kind], "x" * 10)


def conversation(kinds: Sequence[str]) -> list[Item]:
    return list(item_list(*map(an_item, kinds)).items)


@pytest.mark.parametrize(
    ("kinds", "groups"),
    [
        ("u", []),
        ("s u a u", [[1, 2]]),
        ("u a u a u", [[0, 1], [2, 3]]),
        ("u a d u a m u a", [[0, 1], [3, 4]]),
        ("a u a u", [[0], [1, 2]]),
        ("a a", [[0]]),
        ("u c1 o1 a u", [[0, 1, 2, 3]]),
        ("u c1 u o1 a u", [[0, 1, 2, 3, 4]]),
        ("u c1 o1 c2 o2 a", [[1, 2], [3, 4]]),
        ("u c1 c2 o2 o1 a", [[1, 2, 3, 4]]),
        ("u t c1 o1 t a", [[1, 2, 3]]),
        ("u a u c1 o1", [[0, 1]]),
        ("u c1 a u o1", []),
    ],
)
def test_items_go_together_oldest_first(kinds: str, groups: list[list[int]]) -> None:
    assert groups_of(conversation(kinds.split())) == groups


@given(st.lists(st.sampled_from(KINDS), max_size=30, unique_by=lambda kind: kind if kind[1:] else object()), st.data())
async def test_whatever_goes_no_call_is_torn_from_its_output(kinds: list[str], data: st.DataObject) -> None:
    groups = groups_of(conversation(kinds))
    count = data.draw(st.integers(0, len(groups)))
    gone = {place for group in groups[:count] for place in group}
    stays = [kind for place, kind in enumerate(kinds) if place not in gone]
    for call, output in (("c1", "o1"), ("c2", "o2")):
        if {call, output} <= set(kinds) and kinds.index(call) < kinds.index(output):
            assert (call in stays) == (output in stays)
    assert [kind for kind in stays if kind in "sdm"] == [kind for kind in kinds if kind in "sdm"]
    assert stays.count("u") > 0 or "u" not in kinds
    assert not kinds or kinds[-1] in stays


@given(st.lists(st.integers(1, 9), max_size=60), st.integers(1, 200))
async def test_as_little_goes_as_needed_up_to_a_block_and_it_takes_few_tries(sizes: list[int], room: int) -> None:
    """Each turn is a message of so many tokens, and the last one stays."""
    items = conversation(["u"] * len(sizes) + ["u"])
    for item, size in zip(items, [*sizes, 5], strict=True):
        item.message.content[0].input_text.text = "x" * size
    tries = 0

    async def encode(shown: Sequence[Item]) -> tuple[int, ...]:
        nonlocal tries
        tries += 1
        return (0,) * sum(len(item.message.content[0].input_text.text) for item in shown)

    prompt = await fitting_prompt(items, encode, room)
    assert len(prompt) <= max(room, 5)
    assert tries <= 9
    if sum(sizes) + 5 <= room:
        assert len(prompt) == sum(sizes) + 5


async def test_what_cannot_be_left_out_and_does_not_fit_is_refused() -> None:
    async def encode(shown: Sequence[Item]) -> tuple[int, ...]:
        raise ContextLengthExceeded(len(shown), 0)

    with pytest.raises(ContextLengthExceeded) as caught:
        await fitting_prompt(conversation(["u", "a", "s", "u"]), encode, 1)
    assert caught.value.prompt_tokens == 2


def test_blocks_are_counted_from_the_beginning() -> None:
    sizes = [10] * 20
    assert [in_blocks(sizes, fewest, 40) for fewest in (0, 1, 3, 4, 5, 8, 9)] == [0, 4, 4, 4, 8, 8, 12]
    assert in_blocks(sizes[:6], 5, 40) == 5, "there is no whole block left"


def test_the_answer_has_its_budget_or_a_quarter_of_the_context() -> None:
    assert (room_for_prompt(4096, 16), room_for_prompt(4096, 10**9)) == (4080, 3072)


async def test_a_conversation_goes_on_beyond_the_context(served: Served) -> None:
    """The context has 512 tokens, and each turn adds more than 200."""
    parent = None
    for _ in range(6):
        response = await served.answer(
            "long", previous_response_id=parent, instructions="be brief", truncation=AUTO, max_output_tokens=200
        )
        assert text_of(response) == "x" * 200
        assert response.truncation == AUTO
        assert response.usage.input_tokens <= 512 - 128
        assert "be brief" in served.script.prompts[-1]
        parent = response.id
    disabled = served.create("long", previous_response_id=parent)
    assert (await refusal(disabled)).reason == "CONTEXT_LENGTH_EXCEEDED"


async def test_turns_that_leave_something_out_begin_like_those_before(tmp_path: Path) -> None:
    """A block holds five of these turns, the context twelve."""
    parent, cached = None, []
    async with serving(tmp_path, ANSWERS, context=4000) as served:
        for turn in range(30):
            question = f"turn {turn}: " + "x" * 290  # were they alike, they would begin alike wherever they are cut
            response = await served.answer(question, previous_response_id=parent, truncation=AUTO, max_output_tokens=99)
            parent = response.id
            cached.append(response.usage.input_tokens_details.cached_tokens)
    assert "turn 0" not in served.script.prompts[-1]
    late = cached[12:]
    assert sum(tokens > 2000 for tokens in late) >= len(late) * 3 / 4


async def test_the_count_of_what_is_cut_is_that_of_a_response(served: Served) -> None:
    first = await served.answer("long", truncation=AUTO)
    second = await served.answer("long", previous_response_id=first.id, truncation=AUTO)
    fields = {"input": {"text": "hi"}, "previousResponseId": second.id, "truncation": "TRUNCATION_AUTO"}
    tokens = (await served.stub.CountInputTokens(counted(fields), timeout=WAIT)).input_tokens
    third = await served.answer("hi", previous_response_id=second.id, truncation=AUTO)
    assert tokens == third.usage.input_tokens < second.usage.total_tokens


async def test_what_was_left_out_is_stored_all_the_same(served: Served) -> None:
    items = ItemList(items=conversation(["u", "a"] * 100 + ["u"]))
    request = CreateResponseRequest(input=Input(items=items), truncation=AUTO, max_output_tokens=1)
    response = final([event async for event in served.stub.CreateResponse(request, timeout=WAIT)])
    assert response.usage.input_tokens < 512
    record = await served.store.get("local", response.id)
    assert record is not None
    assert len(ItemList.FromString(record.request).items) == 201


async def test_a_single_message_that_is_too_long_is_refused(served: Served) -> None:
    fault = await refusal(served.create("x" * 600, truncation=AUTO))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
