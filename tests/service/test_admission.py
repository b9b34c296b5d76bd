"""Who is let in: the queue, the context and the rules about requests, over a real connection."""

from __future__ import annotations

from pathlib import Path

import grpc

from answerd.v1.content_pb2 import ContentPart, InputText
from answerd.v1.create_response_pb2 import CreateResponseRequest, DrySequenceBreakers
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import Item, MessageItem, Role
from answerd.v1.response_pb2 import ResponseStatus
from tests.service.conftest import ANSWERS, LONG
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, read_until, refusal, serving, text_of


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


async def test_a_message_over_the_limit_is_refused_by_grpc_itself(served: Served) -> None:
    fault = await refusal(served.create("x" * 2**20))
    assert (fault.code, fault.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "")
    assert "larger than max" in fault.message


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
    breakers = DrySequenceBreakers(values=["\n", "x" * 65])
    long = await refusal(served.create("hi", dry_multiplier=1, dry_sequence_breakers=breakers))
    assert long.reason == "INVALID_VALUE"
    assert "dry_sequence_breakers[1]" in long.message
    unknown = await refusal(served.create("hi", model="other"))
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "MODEL_NOT_FOUND")
    assert (await served.store.counts()).records == 0
