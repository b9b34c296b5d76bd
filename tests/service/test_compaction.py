"""Compacted conversations, over a real connection: what comes back, what goes on from it, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from answerd.v1.compaction_pb2 import CompactedResponse, CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.item_pb2 import Item
from answerd.v1.model_pb2 import ListModelsRequest
from answerd.v1.response_pb2 import Response
from service.compaction import ASK
from service.compactions import ASKED
from tests.service.conftest import ANSWERS
from tests.service.request_cases import items, message
from tests.service.scripted_model import CHATML, WAIT
from tests.service.served import Served, final, refusal, serving, text_of
from tests.service.test_references import input_of, says

SUMMARIES = {ASK: "Ada has cats.", f"hi\n\n{ASK}": "A greeting.", "and?": "Two of them."}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """Each character is a token, so the request to sum up takes 250 of the 2048 of the context."""
    async with serving(tmp_path, {**ANSWERS, **SUMMARIES}, context=2048) as served:
        yield served


async def compacted(served: Served, caller: Any = None, **fields: Any) -> CompactedResponse:
    request = ParseDict({"model": "default", **fields}, CompactResponseRequest())
    return await served.stub.CompactResponse(request, metadata=caller, timeout=WAIT)


def going_on(output: Sequence[Item], *more: Item, **fields: Any) -> CreateResponseRequest:
    return CreateResponseRequest(input=Input(items=ItemList(items=[*output, *more])), **fields)


async def answer(served: Served, request: CreateResponseRequest, caller: Any = None) -> Response:
    call = served.stub.CreateResponse(request, metadata=caller, timeout=WAIT)
    return final([event async for event in call])


def kinds(output: Sequence[Item]) -> list[str]:
    return [item.WhichOneof("type") or "" for item in output]


async def test_a_conversation_becomes_its_last_question_and_a_summary(served: Served) -> None:
    first = await served.answer("long")
    second = await served.answer("hi", previous_response_id=first.id)
    made = await compacted(served, previousResponseId=second.id)
    assert kinds(made.output) == ["message", "compaction"]
    assert made.output[0] == (await input_of(served, second))[0]
    assert "cats" not in made.output[1].compaction.encrypted_content
    assert made.output[1].compaction.id.startswith("cmp_")
    assert (made.created_at, made.id.partition("_")[0]) == (int(served.clock.now), "compacted")
    assert made.usage.input_tokens > second.usage.total_tokens
    assert made.usage.output_tokens == len("Ada has cats.") + 1
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens


async def test_the_model_goes_on_from_the_summary_also_in_later_turns(served: Served) -> None:
    first = await served.answer("hi")
    made = await compacted(served, previousResponseId=first.id)
    second = await answer(served, going_on(made.output, says("and?")))
    assert text_of(second) == "Two of them."
    assert "user\nhi" in served.script.prompts[-1]
    assert "so far:\nAda has cats." in served.script.prompts[-1]
    assert "hello" not in served.script.prompts[-1], "the answer itself is gone"
    await served.answer("hi", previous_response_id=second.id)
    assert "so far:\nAda has cats." in served.script.prompts[-1]
    assert (await input_of(served, second))[: len(made.output)] == list(made.output)


async def test_a_compacted_conversation_can_be_compacted_again(served: Served) -> None:
    first = await compacted(served, input={"text": "long"})
    again = ItemList(items=[*first.output, *(await served.answer("hi")).output])
    second = await served.stub.CompactResponse(
        CompactResponseRequest(model="default", input=Input(items=again)), timeout=WAIT
    )
    assert kinds(second.output) == ["message", "compaction"]
    assert "summary of our conversation" in served.script.prompts[-1]


async def test_an_unanswered_question_is_summed_up_with_the_rest(served: Served) -> None:
    """The request to sum up joins it, since some templates take no two messages of the user in a row."""
    made = await compacted(served, input={"text": "hi"}, instructions="be brief")
    assert kinds(made.output) == ["message", "compaction"]
    assert served.script.prompts[-1].count("<|im_start|>user") <= 1
    assert "be brief" in served.script.prompts[-1]


async def test_system_text_stays_as_it_is(served: Served) -> None:
    user, system = message("ROLE_USER", {"inputText": {"text": "hi"}}), message("ROLE_SYSTEM", id="msg_s")
    developer = message("ROLE_DEVELOPER", {"inputText": {"text": "careful"}}, id="msg_d")
    made = await compacted(served, **items(system, user, developer))
    assert kinds(made.output) == ["message", "message", "message", "compaction"]
    assert [item.message.id for item in made.output[:2]] == ["msg_s", "msg_d"]
    assert all(getattr(item, kind).id for item, kind in zip(made.output, kinds(made.output), strict=True))


async def test_calls_whose_outputs_are_to_come_stay_for_them(served: Served) -> None:
    user = message("ROLE_USER", {"inputText": {"text": "hi"}})
    calls = [{"functionCall": {"callId": f"call_{n}", "name": "f", "arguments": "{}"}} for n in range(4)]
    output = {"functionCallOutput": {"callId": "call_1", "output": {"text": "7"}}}
    made = await compacted(served, **items(user, calls[0], user, calls[1], output, calls[2], calls[3]))
    assert kinds(made.output) == ["message", "compaction", "function_call", "function_call"]
    assert [item.function_call.call_id for item in made.output[2:]] == ["call_2", "call_3"]
    late = Item()
    late.function_call_output.call_id, late.function_call_output.output.text = "call_2", "eight"
    await answer(served, going_on(made.output, late))
    assert "eight" in served.script.prompts[-1]
    assert "so far:\n" in served.script.prompts[-1]


async def test_an_output_without_its_call_is_refused_before_anything_is_summed_up(served: Served) -> None:
    orphan = {"functionCallOutput": {"callId": "call_9", "output": {"text": "7"}}}
    long = [message("ROLE_USER", {"inputText": {"text": "x" * 1500}})] * 3
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await compacted(served, **items(*long, orphan))
    assert "TOOL_CALL_NOT_FOUND" in str(caught.value.trailing_metadata())
    assert served.script.prompts == []


async def test_a_question_that_fills_a_quarter_of_the_context_is_not_kept(served: Served) -> None:
    long = message("ROLE_USER", {"inputText": {"text": "x" * 1500}})
    made = await compacted(served, **items(long, message("ROLE_ASSISTANT", {"outputText": {"text": "ok"}})))
    assert kinds(made.output) == ["compaction"]
    await answer(served, going_on(made.output, says("and?")))
    assert f"user\n{ASKED}" in served.script.prompts[-1]


async def test_a_conversation_beyond_the_context_is_summed_up_piece_by_piece(served: Served) -> None:
    turns = [
        message(role, {kind: {"text": letter * 350}})
        for letter in "abcdefgh"
        for role, kind in (("ROLE_USER", "inputText"), ("ROLE_ASSISTANT", "outputText"))
    ]
    made = await compacted(served, **items(*turns))
    assert kinds(made.output) == ["message", "compaction"]
    prompts = served.script.prompts
    assert len(prompts) > 2
    for letter in "abcdefgh":
        assert sum(letter * 350 in prompt for prompt in prompts) == 1
    assert all("Ada has cats." in prompt for prompt in prompts[1:])
    assert made.usage.output_tokens == len(prompts) * (len("Ada has cats.") + 1)


async def test_nothing_is_stored_and_nothing_goes_on_from_its_id(served: Served) -> None:
    made = await compacted(served, input={"text": "hi"})
    assert (await served.store.counts()).records == 0
    assert (await refusal(served.create("hi", previous_response_id=made.id))).reason == "PREVIOUS_RESPONSE_NOT_FOUND"


async def test_a_summary_is_counted_and_may_be_referred_to(served: Served) -> None:
    made = await compacted(served, input={"text": "hi"})
    request = going_on(made.output, says("and?"))
    response = await answer(served, request)
    counted = await served.stub.CountInputTokens(CountInputTokensRequest(input=request.input), timeout=WAIT)
    assert counted.input_tokens == response.usage.input_tokens
    by_name = CreateResponseRequest()
    by_name.input.items.items.add().item_reference.id = made.output[-1].compaction.id
    by_name.input.items.items.append(says("and?"))
    await answer(served, by_name)
    assert "so far:\nA greeting." in served.script.prompts[-1]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "", "input": {"text": "hi"}}, "MISSING_REQUIRED_PARAMETER"),
        ({}, "MISSING_REQUIRED_PARAMETER"),
        ({"input": {"text": "hi"}, "model": "other"}, "MODEL_NOT_FOUND"),
        ({"previousResponseId": "resp_9"}, "PREVIOUS_RESPONSE_NOT_FOUND"),
        ({"input": {"text": "x" * 2047}}, "CONTEXT_LENGTH_EXCEEDED"),
        ({"input": {"text": "hi"}, "promptCacheKey": "k" * 65}, "INVALID_VALUE"),
        (items({"compaction": {"encryptedContent": "AA=="}}), "INVALID_VALUE"),
    ],
)
async def test_what_cannot_be_compacted_is_refused(served: Served, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await compacted(served, **fields)
    assert reason in str(caught.value.trailing_metadata())


async def test_an_altered_summary_is_refused_by_its_place(served: Served) -> None:
    made = await compacted(served, input={"text": "hi"})
    blob = made.output[-1].compaction.encrypted_content
    made.output[-1].compaction.encrypted_content = blob[:-8] + ("A" if blob[-8] != "A" else "B") + blob[-7:]
    fault = await refusal(served.stub.CreateResponse(going_on(made.output), timeout=WAIT))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert "'input[1].encrypted_content' cannot be read" in fault.message


async def test_a_summary_is_of_use_to_its_owner_alone_and_outlives_the_server(tmp_path: Path) -> None:
    ann, bob = ((("authorization", f"Bearer {name}"),) for name in ("ann", "bob"))
    script = {**ANSWERS, **SUMMARIES}
    async with serving(tmp_path, script, context=2048, owner_of=lambda key: key) as served:
        request = going_on((await compacted(served, ann, input={"text": "hi"})).output, says("and?"))
        fault = await refusal(served.stub.CreateResponse(request, metadata=bob, timeout=WAIT))
        assert fault.reason == "INVALID_VALUE"
    async with serving(tmp_path, script, context=2048, owner_of=lambda key: key) as served:
        assert text_of(await answer(served, request, ann)) == "Two of them."


async def test_a_model_that_writes_no_summary_or_fails_is_told_of(served: Served) -> None:
    served.gate.fail = lambda name: name == "decode"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await compacted(served, input={"text": "hi"})
    assert "MODEL_ERROR" in str(caught.value.trailing_metadata())


async def test_a_model_that_can_think_is_asked_not_to(tmp_path: Path) -> None:
    template = CHATML + "{{ 'no thoughts' if enable_thinking is defined and not enable_thinking }}"
    async with serving(tmp_path, SUMMARIES, context=2048, template=template) as served:
        await compacted(served, input={"text": "hi"})
        assert served.script.prompts[-1].endswith("no thoughts")


async def test_a_caller_that_leaves_stops_the_summing_up(served: Served) -> None:
    served.gate.hold_after(1)
    call = served.stub.CompactResponse(CompactResponseRequest(model="default", input=Input(text="hi")), timeout=WAIT)
    while not len(served.server.running):
        await served.stub.ListModels(ListModelsRequest(), timeout=WAIT)
    call.cancel()
    served.gate.open()
    assert await served.server.running.ended(within=WAIT)
