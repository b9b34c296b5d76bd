"""Log-probabilities travel with the text that they belong to, from the first delta into the store."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.include_pb2 import Include
from answerd.v1.logprob_pb2 import LogProb
from answerd.v1.stored_response_pb2 import GetResponseRequest
from tests.service.scripted_model import WAIT
from tests.service.served import Served, final, serving

LOGPROBS: list[dict[str, Any]] = [
    {"logprobs": True},
    {"top_logprobs": 3},
    {"include": [Include.INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS]},
]


async def told(served: Served, text: str, **fields: Any) -> list[ResponseEvent]:
    return [event async for event in served.create(text, **fields)]


def spelled(logprobs: list[LogProb]) -> str:
    return b"".join(logprob.bytes for logprob in logprobs).decode()


@pytest.mark.parametrize("asked", LOGPROBS, ids=lambda fields: next(iter(fields)))
async def test_deltas_parts_and_the_stored_response_have_those_of_their_text(
    served: Served, asked: dict[str, Any]
) -> None:
    events = await told(served, "hi", **asked)
    of_deltas: list[LogProb] = []
    for event in events:
        if event.HasField("output_text_delta"):
            assert spelled([*event.output_text_delta.logprobs]) == event.output_text_delta.delta
            of_deltas += event.output_text_delta.logprobs
        elif event.HasField("output_text_done"):
            assert [*event.output_text_done.logprobs] == of_deltas
        elif event.HasField("content_part_done"):
            assert [*event.content_part_done.part.output_text.logprobs] == of_deltas
    assert [logprob.token for logprob in of_deltas] == [*"hello"]
    stored = await served.stub.GetResponse(GetResponseRequest(id=final(events).id), timeout=WAIT)
    assert [*stored.output[0].message.content[0].output_text.logprobs] == of_deltas


async def test_nobody_gets_them_unasked(served: Served) -> None:
    for event in await told(served, "hi"):
        assert not event.output_text_delta.logprobs
        assert not event.content_part_done.part.output_text.logprobs


async def test_values_are_natural_logarithms_with_the_likeliest_tokens_beside_them(served: Served) -> None:
    response = await served.answer("hi", top_logprobs=3)
    for logprob in response.output[0].message.content[0].output_text.logprobs:
        # The script's token has a logit of 80, the 263 others of 0.
        assert logprob.logprob == pytest.approx(0.0, abs=1e-6)
        assert [len(top.bytes) > 0 for top in logprob.top_logprobs] == [True] * 3
        assert logprob.top_logprobs[0].token == logprob.token
        assert [top.logprob for top in logprob.top_logprobs[1:]] == pytest.approx([-80.0, -80.0])
        # Of equal ones the lower ids: control tokens, which add nothing to a text, read as they are written.
        assert [top.token for top in logprob.top_logprobs[1:]] == ["<|endoftext|>", "<|im_start|>"]


async def test_no_other_parameter_changes_them(served: Served) -> None:
    plain = await served.answer("hi", top_logprobs=2)
    twisted = await served.answer(
        "hi", top_logprobs=2, temperature=0.3, top_k=1, presence_penalty=2, repetition_penalty=3, logit_bias={9: -100}
    )
    assert plain.output[0].message.content == twisted.output[0].message.content


async def test_what_a_stop_string_cuts_off_has_none(tmp_path: Path) -> None:
    async with serving(tmp_path, {"hi": "one two STOP three"}) as served:
        events = await told(served, "hi", stop=["STOP", "SToP", "two STAY"], logprobs=True)
    [part] = [event.content_part_done.part.output_text for event in events if event.HasField("content_part_done")]
    assert part.text == "one two "
    assert spelled([*part.logprobs]) == "one two "
    for event in events:
        assert spelled([*event.output_text_delta.logprobs]) == event.output_text_delta.delta


async def test_a_character_of_several_tokens_has_all_of_theirs(tmp_path: Path) -> None:
    async with serving(tmp_path, {"hi": "a\N{GRINNING FACE}b"}) as served:
        events = await told(served, "hi", logprobs=True)
    for event in events:
        assert spelled([*event.output_text_delta.logprobs]) == event.output_text_delta.delta
    logprobs = final(events).output[0].message.content[0].output_text.logprobs
    assert [logprob.token for logprob in logprobs] == ["a", *["\N{REPLACEMENT CHARACTER}"] * 4, "b"]
    assert all(math.isfinite(logprob.logprob) for logprob in logprobs)
