"""Several choices: one prompt, a message of its own for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import ItemStatus
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, names, read_until, refusal, serving


@pytest.fixture
async def whimsical(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with two slots and a queue of six, whose model has an opinion on every token."""
    async with serving(tmp_path, {}, slots=2, queue=6, reply=lambda prompt: None) as served:
        yield served


async def told(served: Served, **fields: Any) -> list[ResponseEvent]:
    return [event async for event in served.create(**{"max_output_tokens": 12, "temperature": 1, **fields})]


def texts(response: Response) -> list[str]:
    """Of the messages: an answer that is drawn from anything may begin with a thought."""
    return [item.message.content[0].output_text.text for item in response.output if item.HasField("message")]


@pytest.mark.parametrize("choices", [2, 5])
async def test_each_choice_is_the_answer_of_its_own_seed(whimsical: Served, choices: int) -> None:
    response = final(await told(whimsical, n_choices=choices, seed=40))
    alone = [texts(final(await told(whimsical, seed=40 + index)))[0] for index in range(choices)]
    assert texts(response) == alone
    assert len(set(alone)) == choices


async def test_without_a_seed_no_two_choices_are_alike(whimsical: Served) -> None:
    assert len(set(texts(final(await told(whimsical, n_choices=5))))) == 5


async def test_the_prompt_counts_once_and_the_outputs_together(whimsical: Served) -> None:
    one, four = final(await told(whimsical, seed=1)).usage, final(await told(whimsical, n_choices=4, seed=1)).usage
    assert four.input_tokens == one.input_tokens
    assert one.input_tokens_details.cached_tokens == 0
    assert four.input_tokens_details.cached_tokens == one.input_tokens - 2, "what the request before left"
    assert four.output_tokens == 4 * 12
    assert four.total_tokens == four.input_tokens + four.output_tokens


async def test_every_choice_has_its_place_in_every_event(whimsical: Served) -> None:
    events = await told(whimsical, n_choices=3, seed=1, logprobs=True)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    added = [event.output_item_added for event in events if event.HasField("output_item_added")]
    assert [each.output_index for each in added] == [0, 1, 2]
    ids = [each.item.message.id for each in added]
    assert len(set(ids)) == 3
    said = dict.fromkeys(range(3), "")
    for event in events:
        if event.HasField("output_text_delta"):
            delta = event.output_text_delta
            assert delta.item_id == ids[delta.output_index]
            assert b"".join(logprob.bytes for logprob in delta.logprobs).decode("utf-8", "replace") == delta.delta
            said[delta.output_index] += delta.delta
        elif event.HasField("output_item_done"):
            done = event.output_item_done
            assert done.item.message.id == ids[done.output_index]
            assert done.item.message.content[0].output_text.text == said[done.output_index]
    assert texts(final(events)) == [*said.values()]


async def test_a_choice_that_is_cut_off_leaves_the_others_whole(tmp_path: Path) -> None:
    """A model that draws between a long answer and an end token at once."""
    async with serving(tmp_path, {}, reply=lambda prompt: None) as served:
        bias = {2: 4.0}  # the end token, about one draw in six
        events = await told(served, n_choices=8, seed=3, logit_bias=bias, max_output_tokens=6)
    response = final(events)
    statuses = [item.message.status for item in response.output]
    assert {ItemStatus.ITEM_STATUS_COMPLETED, ItemStatus.ITEM_STATUS_INCOMPLETE} == set(statuses)
    assert names(events)[-1] == "incomplete"
    assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS
    # A choice is closed as soon as it has ended.
    kinds = names(events)
    assert kinds.index("output_item_done") < len(kinds) - 1 - kinds[::-1].index("output_text_delta")


async def test_whole_choices_make_a_completed_response_that_can_be_got(served: Served) -> None:
    events = await told(served, n_choices=3, max_output_tokens=100)
    response = final(events)
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert texts(response) == ["hello"] * 3
    assert await served.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT) == response


async def test_the_first_choice_is_the_history(whimsical: Served) -> None:
    first = final(await told(whimsical, n_choices=3, seed=5))
    alone = final(await told(whimsical, seed=5))
    assert texts(first)[0] == texts(alone)[0]
    next_of_several = final(await told(whimsical, previous_response_id=first.id, seed=6))
    next_of_one = final(await told(whimsical, previous_response_id=alone.id, seed=6))
    assert next_of_several.usage.input_tokens == next_of_one.usage.input_tokens
    assert texts(next_of_several) == texts(next_of_one)


async def test_a_caller_who_leaves_ends_all_choices(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long", n_choices=3)
    events = await read_until(call, "output_text_delta", times=3)
    call.cancel()
    served.gate.open()
    assert await served.server.running.ended(within=WAIT)
    async with asyncio.timeout(WAIT):
        await served.model.engine.idle()
    stored = await served.stub.GetResponse(GetResponseRequest(id=events[0].created.response.id), timeout=WAIT)
    assert stored.status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    assert [item.message.status for item in stored.output] == [ItemStatus.ITEM_STATUS_INCOMPLETE] * 3


async def test_a_deleted_response_ends_all_choices(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long", n_choices=3)
    events = await read_until(call, "output_text_delta", times=3)
    await served.stub.DeleteResponse(DeleteResponseRequest(id=events[0].created.response.id), timeout=WAIT)
    served.gate.open()
    last = [event async for event in call][-1]
    assert last.WhichOneof("event") == "incomplete"
    assert last.incomplete.response.status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    assert served.model.engine.live == 0


async def test_a_failure_of_the_model_ends_all_choices_with_what_they_said(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long", n_choices=3)
    await read_until(call, "output_text_delta", times=3)
    served.gate.fail = lambda name: name == "decode"
    served.gate.open()
    rest = [event async for event in call]
    assert names(rest)[-2:] == ["error", "failed"]
    response = final(rest)
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert [item.message.status for item in response.output] == [ItemStatus.ITEM_STATUS_INCOMPLETE] * 3
    assert all(texts(response))


async def test_choices_need_their_places_in_the_queue(whimsical: Served) -> None:
    whimsical.gate.hold_after(1)
    busy = whimsical.create("hi", n_choices=4, max_output_tokens=50)
    await read_until(busy, "output_text_delta")
    refused = await refusal(whimsical.create("hi", n_choices=5))
    assert (refused.code, refused.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED")
    whimsical.gate.open()
    assert len(texts(final([event async for event in busy]))) == 4


async def test_more_choices_than_can_ever_run_and_wait_are_refused_for_good(whimsical: Served) -> None:
    assert len(texts(final(await told(whimsical, n_choices=8)))) == 8
    refused = await refusal(whimsical.create("hi", n_choices=9))
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert "'n_choices' must be at most 8" in refused.message
