"""Sampling parameters over HTTP, with the real model: each changes what is said, and log-probabilities add up."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.e2e.api import Api

GREEDY: dict[str, Any] = {"temperature": 0}
DRAWN: dict[str, Any] = {"temperature": 1.2, "seed": 11}
PROMPT = "Repeat: one two one two one two one two one two"


def answer(api: Api, **body: Any) -> str:
    return str(api.create(**{"input": PROMPT, "max_output_tokens": 24, **body})["output_text"])


@pytest.mark.parametrize(
    ("baseline", "parameter"),
    [
        (GREEDY, {"temperature": 1.9, "seed": 1}),
        (DRAWN, {"seed": 12}),
        (DRAWN, {"top_k": 1}),
        (DRAWN, {"top_p": 0.01}),
        (DRAWN, {"min_p": 0.99}),
        (DRAWN, {"presence_penalty": 2}),
        (GREEDY, {"frequency_penalty": 2}),
        (GREEDY, {"repetition_penalty": 5}),
        (GREEDY, {"logit_bias": {"1000": 100}}),
        (GREEDY, {"dry_multiplier": 5}),
        ({**GREEDY, "dry_multiplier": 5}, {"dry_base": 9, "dry_allowed_length": 1, "dry_sequence_breakers": []}),
        (GREEDY, {"stop": ["two", "One"]}),
    ],
    ids=lambda fields: ",".join(fields),
)
def test_a_parameter_changes_the_answer(api: Api, baseline: dict[str, Any], parameter: dict[str, Any]) -> None:
    assert answer(api, **{**baseline, **parameter}) != answer(api, **baseline)


def test_log_probabilities_stream_with_their_text_and_are_stored(api: Api) -> None:
    with api.stream(input=PROMPT, max_output_tokens=12, top_logprobs=4) as stream:
        stream.read_to_end()
    deltas = [event for event in stream.seen if event["type"] == "response.output_text.delta"]
    for event in deltas:
        assert bytes(byte for each in event["logprobs"] for byte in each["bytes"]).decode() == event["delta"]
    streamed = [each for event in deltas for each in event["logprobs"]]
    [part] = api.get(stream.id)["output"][0]["content"]
    assert part["logprobs"] == streamed
    for each in streamed:
        assert each["top_logprobs"][0]["token"] == each["token"], "greedy takes the likeliest"
        values = [top["logprob"] for top in each["top_logprobs"]]
        assert values == sorted(values, reverse=True)
        assert 0 < sum(map(math.exp, values)) <= 1.0001


@pytest.mark.parametrize("spelling", ["n", "n_choices"])
def test_choices_are_messages_of_their_own(api: Api, spelling: str) -> None:
    several = api.create(input=PROMPT, max_output_tokens=12, **DRAWN, **{spelling: 3})
    texts = [item["content"][0]["text"] for item in several["output"]]
    assert len(set(texts)) == 3
    assert several["output_text"] == "".join(texts)
    one = api.create(input=PROMPT, max_output_tokens=12, **DRAWN)
    assert several["usage"]["input_tokens"] == one["usage"]["input_tokens"]


def test_choices_of_a_stream_come_in_one_order_of_events(api: Api) -> None:
    with api.stream(input=PROMPT, max_output_tokens=12, **DRAWN, n=4) as stream:
        stream.read_to_end()
    assert {event["output_index"] for event in stream.seen if "output_index" in event} == set(range(4))
    assert api.get(stream.id)["output"] == stream.end["output"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"logit_bias": {"49152": 1}}, "logit_bias.49152"),
        ({"logit_bias": {"-1": 1}}, "logit_bias.-1"),
        ({"dry_multiplier": -1}, "dry_multiplier"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"n": 129}, "n"),
        ({"n": 0}, "n"),
        ({"stop": ["x"] * 17}, "stop"),
    ],
    ids=str,
)
def test_a_value_out_of_range_is_refused_by_name(api: Api, body: dict[str, Any], param: str) -> None:
    reply = api.refused(**body)
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "invalid_value", param)
