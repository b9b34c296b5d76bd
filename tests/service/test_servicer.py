"""The calls, over a real connection: what they answer, what they refuse, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.item_pb2 import ItemStatus, Role
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest
from answerd.v1.response_pb2 import IncompleteReason, ResponseStatus
from answerd.v1.stored_response_pb2 import GetResponseRequest
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import MODEL, WAIT
from tests.service.served import Served, final, names, read_until, record_of, refusal, serving, settled, text_of


async def test_events_come_in_order_and_numbered_from_zero(served: Served) -> None:
    events = [event async for event in served.create("hi")]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = names(events)[4:-4]
    assert names(events)[:4] == ["created", "in_progress", "output_item_added", "content_part_added"]
    assert set(deltas) == {"output_text_delta"}
    assert names(events)[-4:] == ["output_text_done", "content_part_done", "output_item_done", "completed"]
    assert "".join(event.output_text_delta.delta for event in events) == "hello"


async def test_the_final_state_says_what_was_asked_and_what_it_took(served: Served) -> None:
    response = await served.answer("hi", model="default", metadata={"note": "mine"})
    assert response.model == MODEL
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert response.created_at == response.completed_at == int(served.clock.now)
    assert response.metadata == {"note": "mine"}
    assert response.usage.output_tokens == len("hello") + 1
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert text_of(response) == "hello"


async def test_an_answer_of_nothing_is_whole(served: Served) -> None:
    response = await served.answer("nothing")
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert text_of(response) == ""


async def test_a_token_budget_cuts_the_answer(served: Served) -> None:
    response = await served.answer("hi", max_output_tokens=2)
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert text_of(response) == "he"
    assert response.max_output_tokens == 2


async def test_a_follow_up_puts_the_whole_conversation_before_the_model(served: Served) -> None:
    first = await served.answer("hi", instructions="be brief")
    second = await served.answer("hi hi", previous_response_id=first.id)
    third = await served.answer("hi", previous_response_id=second.id)
    assert third.previous_response_id == second.id
    assert text_of(second) == "hi again"
    assert served.script.prompts[-1] == (
        "user\nhi\nassistant\nhello\nuser\nhi hi\nassistant\nhi again\nuser\nhi\nassistant\n"
    )
    assert served.script.prompts[0] == "system\nbe brief\nuser\nhi\nassistant\n"
    assert third.usage.input_tokens_details.cached_tokens > 0


async def test_a_response_that_is_not_stored_is_continued_by_those_who_kept_its_items(served: Served) -> None:
    """As the WebSocket mode of the facade does it, with the stored part of the conversation named as the parent."""
    stored = await served.answer("hi")
    unstored = await served.answer("hi hi", previous_response_id=stored.id, store=False)
    again = CreateResponseRequest(previous_response_id=stored.id, unstored_parent_id=unstored.id)
    for text in ("hi hi", "hi"):
        item = again.input.items.items.add()
        item.message.role = Role.ROLE_USER
        item.message.content.add().input_text.text = text
    again.input.items.items.insert(1, unstored.output[0])
    response = final([event async for event in served.stub.CreateResponse(again, timeout=WAIT)])
    assert served.script.prompts[-1] == (
        "user\nhi\nassistant\nhello\nuser\nhi hi\nassistant\nhi again\nuser\nhi\nassistant\n"
    )
    assert response.previous_response_id == unstored.id
    assert await served.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT) == response


async def test_a_caller_who_leaves_frees_the_slot_and_leaves_a_cancelled_record(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1) as served:
        served.gate.hold_after(3)
        call = served.create("long")
        events = await read_until(call, "output_text_delta")
        call.cancel()
        await settled(served)
        record = await record_of(served, events[0].created.response.id)
        assert record.status == "cancelled"
        served.gate.open()
        # The one slot serves the next caller, and nobody is left in the engine.
        assert text_of(await served.answer("hi")) == "hello"
        assert served.model.engine.live == 0
        assert served.model.engine.stats.running == 0
        cancelled = await served.stub.GetResponse(GetResponseRequest(id=record.id), timeout=WAIT)
        assert cancelled.status == ResponseStatus.RESPONSE_STATUS_CANCELLED
        assert cancelled.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_CANCELLED
        assert cancelled.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
        assert 0 < len(text_of(cancelled)) < len(LONG)
        assert cancelled.usage.output_tokens >= len(text_of(cancelled))


async def test_a_deadline_that_passes_is_a_caller_who_leaves(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1) as served:
        served.gate.hold_after(3)
        call = served.create("long", timeout=0.2)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_until(call, "completed")
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await settled(served)
        served.gate.open()
        assert text_of(await served.answer("hi")) == "hello"


async def test_nobody_learns_from_the_cached_tokens_what_another_owner_asked(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        cached = []
        for owner in ("alice", "bob", "bob"):
            response = await served.answer("hi", caller=(("authorization", f"Bearer {owner}"),))
            cached.append(response.usage.input_tokens_details.cached_tokens)
    assert cached[:2] == [0, 0]
    assert cached[2] > 0


async def test_a_call_of_the_model_that_fails_ends_only_its_own_response(served: Served) -> None:
    served.gate.hold_after(3)
    healthy = served.create("long")
    await read_until(healthy, "output_text_delta")
    served.gate.fail = lambda name: name == "prefill"
    broken = served.create("hi")
    await read_until(broken, "in_progress")
    served.gate.open()
    events = [event async for event in broken]
    assert names(events) == ["error", "failed"]
    assert (events[0].error.type, events[0].error.code) == ("server_error", "model_error")
    response = final(events)
    assert response.error.code == "server_error"
    assert response.usage.output_tokens == 0
    assert text_of(final([event async for event in healthy])) == LONG
    assert (await record_of(served, response.id)).status == "failed"
    served.gate.fail = lambda name: False
    assert text_of(await served.answer("hi")) == "hello"


async def test_the_models_are_the_one_that_is_served(served: Served) -> None:
    (model,) = (await served.stub.ListModels(ListModelsRequest(), timeout=WAIT)).data
    assert (model.id, model.context_length, model.created) == (MODEL, 512, 1_600_000_000)
    for name in (MODEL, "default"):
        assert await served.stub.GetModel(GetModelRequest(id=name), timeout=WAIT) == model
    fault = await refusal(served.stub.GetModel(GetModelRequest(id="other"), timeout=WAIT))
    assert fault.reason == "MODEL_NOT_FOUND"


async def test_sixteen_callers_at_once_each_get_their_own_answer(tmp_path: Path) -> None:
    answers = {f"hi {number}": f"hello {number}" * 5 for number in range(16)}
    async with serving(tmp_path, answers, slots=5, queue=16) as served:
        responses = await asyncio.gather(*(served.answer(question) for question in answers))
        assert [text_of(response) for response in responses] == list(answers.values())
