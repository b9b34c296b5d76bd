"""Every sampling parameter of a request has an effect on its answer, over the whole way to the sampler and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from answerd.v1.create_response_pb2 import DrySequenceBreakers
from answerd.v1.response_pb2 import Response
from tests.service.scripted_model import TOKENIZER, encode
from tests.service.served import Served, refusal, serving, text_of

GREEDY: dict[str, Any] = {"temperature": 0}
DRAWN: dict[str, Any] = {"temperature": 1, "seed": 7}
DRY: dict[str, Any] = {"temperature": 0, "dry_multiplier": 9, "dry_allowed_length": 1}
PROMPT = "ab, ab, ab: ab"


@pytest.fixture
async def whimsical(tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose model has an opinion on every token: standard normal logits, made of all tokens so far."""
    async with serving(tmp_path, {}, reply=lambda prompt: None) as served:
        yield served


@pytest.fixture
async def stuck(tmp_path: Path) -> AsyncIterator[Served]:
    """A server whose model says the same over and over, with logits of 80."""
    async with serving(tmp_path, {}, reply=lambda prompt: encode("abcdefgh:" * 9)) as served:
        yield served


async def answer(served: Served, **fields: Any) -> Response:
    return await served.answer(PROMPT, **{"max_output_tokens": 24, **fields})


@pytest.mark.parametrize(
    ("baseline", "parameter"),
    [
        (GREEDY, {"temperature": 1.5}),
        (DRAWN, {"temperature": 0.2}),
        (DRAWN, {"seed": 8}),
        (DRAWN, {"top_k": 1}),
        (DRAWN, {"top_p": 0.05}),
        (DRAWN, {"min_p": 0.9}),
        (GREEDY, {"presence_penalty": 2}),
        (GREEDY, {"presence_penalty": -2}),
        (GREEDY, {"frequency_penalty": 2}),
        (GREEDY, {"repetition_penalty": 50}),
        (GREEDY, {"logit_bias": {encode("z")[0]: 100}}),
    ],
    ids=lambda fields: ",".join(fields),
)
async def test_a_parameter_changes_the_answer(
    whimsical: Served, baseline: dict[str, Any], parameter: dict[str, Any]
) -> None:
    plain = await answer(whimsical, **baseline)
    changed = await answer(whimsical, **{**baseline, **parameter})
    assert text_of(changed) != text_of(plain)
    assert text_of(await answer(whimsical, **baseline)) == text_of(plain), "nothing else decides"


@pytest.mark.parametrize(
    "parameter",
    [
        {"dry_multiplier": 0.0},
        {"dry_base": 1.0},
        {"dry_allowed_length": 9},
        {"dry_sequence_breakers": DrySequenceBreakers(values=["c"])},
        {"dry_sequence_breakers": DrySequenceBreakers()},
    ],
    ids=str,
)
async def test_each_dry_parameter_changes_the_answer(stuck: Served, parameter: dict[str, Any]) -> None:
    """The model repeats itself until the penalty, 9 and for each token more 1.75 times that, has reached its logits."""
    plain = await answer(stuck, **DRY)
    changed = await answer(stuck, **{**DRY, **parameter})
    assert text_of(changed) != text_of(plain)


async def test_a_bias_forces_a_token(whimsical: Served) -> None:
    response = await answer(whimsical, logit_bias={encode("z")[0]: 100}, max_output_tokens=5)
    assert text_of(response) == "zzzzz"


async def test_a_bias_for_a_token_that_the_model_has_not_is_refused(whimsical: Served) -> None:
    fault = await refusal(whimsical.create(logit_bias={TOKENIZER.vocab_size: 1}))
    assert (fault.code, fault.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert f"'logit_bias.{TOKENIZER.vocab_size}' is no token: the model's ids go from 0 to" in fault.message


async def test_sixteen_stop_strings_each_end_the_answer(tmp_path: Path) -> None:
    stops = [f"stop{number:02}" for number in range(16)]
    async with serving(tmp_path, {stop: f"before {stop} after" for stop in stops}) as served:
        for stop in stops:
            assert text_of(await served.answer(stop, stop=stops)) == "before "
