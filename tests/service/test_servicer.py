"""The calls, over a real connection: what they answer, what they refuse, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from answerd.v1.content_pb2 import ContentPart, InputText
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import Item, ItemStatus, MessageItem, Role
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from service.store import Record
from tests.service.conftest import ANSWERS, LONG
from tests.service.served import MODEL, WAIT, Served, final, names, read_until, refusal, serving, text_of


async def record_of(served: Served, id: str) -> Record:
    record = await served.store.get("local", id)
    assert record is not None
    return record


async def settled(served: Served) -> None:
    """Waits until no response runs and everything about them is stored."""
    assert await served.server.running.ended(within=WAIT)


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


async def test_whoever_saw_the_last_event_can_get_the_same_response(served: Served) -> None:
    response = await served.answer("hi")
    assert await served.stub.GetResponse(GetResponseRequest(id=response.id), timeout=WAIT) == response


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


async def test_a_full_queue_refuses_at_once_and_leaves_no_record(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1, queue=1) as served:
        served.gate.hold_after(0)
        accepted = [served.create("hi"), served.create("hi")]
        for call in accepted:
            await read_until(call, "in_progress")
        fault = await refusal(served.create("hi"))
        assert (fault.code, fault.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED")
        assert fault.retry
        assert (await served.store.counts()).records == 2
        served.gate.open()
        assert [text_of(final([event async for event in call])) for call in accepted] == ["hello", "hello"]


async def test_a_running_response_can_be_got_with_its_text_so_far(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    response = await served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    assert response.status == ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_IN_PROGRESS
    assert LONG.startswith(text_of(response))
    assert text_of(response)
    served.gate.open()
    assert text_of(final([event async for event in call])) == LONG


async def test_deleting_a_running_response_cancels_it(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    events = await read_until(call, "output_text_delta")
    id = events[0].created.response.id
    reply = await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    assert (reply.id, reply.deleted) == (id, True)
    # At once, although the engine has not noticed yet: its call of the model is still held.
    get = served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT)
    assert (await refusal(get)).reason == "RESPONSE_NOT_FOUND"
    served.gate.open()
    rest = [event async for event in call]
    assert names(rest)[-1] == "incomplete"
    assert final(rest).status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    await settled(served)
    assert (await served.store.counts()).records == 0


async def test_a_deleted_response_can_be_neither_got_deleted_nor_continued(served: Served) -> None:
    id = (await served.answer("hi")).id
    await served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT)
    get = await refusal(served.stub.GetResponse(GetResponseRequest(id=id), timeout=WAIT))
    delete = await refusal(served.stub.DeleteResponse(DeleteResponseRequest(id=id), timeout=WAIT))
    follow_up = await refusal(served.create("hi", previous_response_id=id))
    assert [get.reason, delete.reason] == ["RESPONSE_NOT_FOUND"] * 2
    assert follow_up.reason == "PREVIOUS_RESPONSE_NOT_FOUND"


async def test_a_foreign_response_is_like_an_unknown_one(tmp_path: Path) -> None:
    def owner_of(key: str | None) -> str | None:
        return key

    def key(owner: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {owner}"),)

    async with serving(tmp_path, ANSWERS, owner_of=owner_of) as served:
        theirs = (await served.answer("hi", caller=key("alice"))).id
        faults = []
        for id in (theirs, "resp_nobody"):
            requests = (
                served.stub.GetResponse(GetResponseRequest(id=id), metadata=key("bob"), timeout=WAIT),
                served.stub.DeleteResponse(DeleteResponseRequest(id=id), metadata=key("bob"), timeout=WAIT),
                served.create("hi", previous_response_id=id, caller=key("bob")),
            )
            found = [await refusal(request) for request in requests]
            faults.append([(fault.code, fault.reason, fault.message.replace(id, "ID")) for fault in found])
        assert faults[0] == faults[1]
        request = GetResponseRequest(id=theirs)
        assert (await served.stub.GetResponse(request, metadata=key("alice"), timeout=WAIT)).id == theirs


async def test_nobody_learns_from_the_cached_tokens_what_another_owner_asked(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        cached = []
        for owner in ("alice", "bob", "bob"):
            response = await served.answer("hi", caller=(("authorization", f"Bearer {owner}"),))
            cached.append(response.usage.input_tokens_details.cached_tokens)
    assert cached[:2] == [0, 0]
    assert cached[2] > 0


async def test_a_foreign_running_response_is_like_an_unknown_one(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, owner_of=lambda key: key) as served:
        served.gate.hold_after(3)
        call = served.create("long", caller=(("authorization", "Bearer alice"),))
        id = (await read_until(call, "output_text_delta"))[0].created.response.id
        bob = (("authorization", "Bearer bob"),)
        get = served.stub.GetResponse(GetResponseRequest(id=id), metadata=bob, timeout=WAIT)
        delete = served.stub.DeleteResponse(DeleteResponseRequest(id=id), metadata=bob, timeout=WAIT)
        assert [(await refusal(get)).reason, (await refusal(delete)).reason] == ["RESPONSE_NOT_FOUND"] * 2
        served.gate.open()
        assert final([event async for event in call]).status == ResponseStatus.RESPONSE_STATUS_COMPLETED


async def test_a_response_that_still_runs_cannot_be_continued(served: Served) -> None:
    served.gate.hold_after(3)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    fault = await refusal(served.create("hi", previous_response_id=id))
    assert (fault.code, fault.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PREVIOUS_RESPONSE_NOT_USABLE")
    assert "in_progress" in fault.message
    served.gate.open()
    await read_until(call, "completed")


async def test_a_prompt_that_cannot_fit_is_refused_with_both_numbers(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, context=64) as served:
        fault = await refusal(served.create("x" * 60))
        assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "CONTEXT_LENGTH_EXCEEDED")
        assert "62" in fault.message
        huge = await refusal(served.create("x" * 100_000))
        assert huge.reason == "CONTEXT_LENGTH_EXCEEDED"
        assert "at least" in huge.message
        assert "at most 62" in huge.message
        assert (await served.store.counts()).records == 0


async def test_of_more_items_than_fit_none_is_looked_at(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, context=64) as served:
        request = CreateResponseRequest(input=Input(items=ItemList(items=[Item()] * 63)))
        fault = await refusal(served.stub.CreateResponse(request, timeout=WAIT))
        assert fault.reason == "CONTEXT_LENGTH_EXCEEDED"
        assert "at least 63" in fault.message


async def test_an_input_of_many_small_messages_is_answered(served: Served) -> None:
    said = Item(message=MessageItem(role=Role.ROLE_USER, content=[ContentPart(input_text=InputText(text=""))]))
    request = CreateResponseRequest(input=Input(items=ItemList(items=[said] * 60)), max_output_tokens=1)
    response = final([event async for event in served.stub.CreateResponse(request, timeout=WAIT)])
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    bad = CreateResponseRequest(input=Input(items=ItemList(items=[said] * 200 + [Item()])))
    assert (await refusal(served.stub.CreateResponse(bad, timeout=WAIT))).reason == "MISSING_REQUIRED_PARAMETER"


async def test_a_full_queue_refuses_before_the_history_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, slots=1, queue=0) as served:
        served.gate.hold_after(0)
        call = served.create("hi")
        await read_until(call, "in_progress")
        fault = await refusal(served.create("hi", previous_response_id="resp_unknown"))
        assert fault.reason == "RATE_LIMIT_EXCEEDED"
        served.gate.open()
        await read_until(call, "completed")


async def test_a_budget_beyond_the_context_is_clamped_to_what_is_left(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, context=64) as served:
        response = await served.answer("long", max_output_tokens=2**40)
        assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
        assert response.usage.total_tokens == 64


async def test_a_request_without_a_budget_gets_the_servers(tmp_path: Path) -> None:
    async with serving(tmp_path, ANSWERS, default_max_output_tokens=7) as served:
        response = await served.answer("long")
        assert text_of(response) == LONG[:7]
        assert not response.HasField("max_output_tokens")


async def test_faults_of_the_request_are_told_before_anything_happens(served: Served) -> None:
    fault = await refusal(served.create("hi", temperature=9.0))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    unknown = await refusal(served.create("hi", model="other"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert (await served.store.counts()).records == 0


async def test_a_response_that_is_not_to_be_kept_is_not(served: Served) -> None:
    response = await served.answer("hi", store=False)
    assert text_of(response) == "hello"
    assert not response.store
    assert (await served.store.counts()).records == 0
    fault = await refusal(served.create("hi", previous_response_id=response.id))
    assert fault.reason == "PREVIOUS_RESPONSE_NOT_FOUND"


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


async def test_the_text_so_far_is_stored_at_most_once_a_second(served: Served) -> None:
    served.gate.hold_after(0)
    call = served.create("long")
    id = (await read_until(call, "output_text_delta"))[0].created.response.id
    assert text_of(Response.FromString((await record_of(served, id)).response)) == ""
    served.clock.now += 1.5
    stored = []
    for _ in range(4):
        served.gate.hold_after(1)
        await read_until(call, "output_text_delta")
        # What a delta writes is written when the next one is read.
        stored.append(len(text_of(Response.FromString((await record_of(served, id)).response))))
    assert stored[1:] == [2, 2, 2]
    served.gate.open()
    await read_until(call, "completed")


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
