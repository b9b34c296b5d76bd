"""What the engine is told about sampling."""

from __future__ import annotations

import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest, DrySequenceBreakers
from answerd.v1.include_pb2 import Include
from inference.sampling.parameters import DryParams, SamplingParams
from service.sampling import sampling_params


def params_of(request: CreateResponseRequest) -> SamplingParams:
    return sampling_params(request, default_max_tokens=512, context=4096)


def test_an_empty_request_has_the_contracts_defaults() -> None:
    assert params_of(CreateResponseRequest()) == SamplingParams(temperature=1, top_p=1, top_k=0, max_tokens=512)


def test_every_parameter_arrives() -> None:
    request = CreateResponseRequest(
        temperature=0,
        top_p=0.5,
        top_k=40,
        min_p=0.125,
        seed=0,
        presence_penalty=-1,
        frequency_penalty=2,
        repetition_penalty=1.5,
        logit_bias={9: -100, 7: 0, 3: 2.5},
        dry_multiplier=0.75,
        dry_base=2,
        dry_allowed_length=0,
        dry_sequence_breakers=DrySequenceBreakers(values=["."]),
        top_logprobs=3,
        max_output_tokens=7,
        stop=["a", "b"],
    )
    assert params_of(request) == SamplingParams(
        temperature=0,
        top_p=0.5,
        top_k=40,
        min_p=0.125,
        seed=0,
        presence_penalty=-1,
        frequency_penalty=2,
        repetition_penalty=1.5,
        logit_bias=((3, 2.5), (9, -100)),
        dry=DryParams(multiplier=0.75, base=2, allowed_length=0, sequence_breakers=(".",)),
        logprobs=3,
        max_tokens=7,
        stop=("a", "b"),
    )


def test_dry_has_the_contracts_defaults() -> None:
    params = params_of(CreateResponseRequest(dry_multiplier=0.5))
    assert params.dry == DryParams(0.5, base=1.75, allowed_length=2, sequence_breakers=("\n", ":", '"', "*"))


def test_no_breakers_differ_from_the_default_ones() -> None:
    params = params_of(CreateResponseRequest(dry_multiplier=0.5, dry_sequence_breakers=DrySequenceBreakers()))
    assert params.dry is not None
    assert params.dry.sequence_breakers == ()


def test_dry_without_a_multiplier_is_off() -> None:
    assert params_of(CreateResponseRequest(dry_base=3, dry_allowed_length=1)).dry is None


@pytest.mark.parametrize(
    ("asked", "logprobs"),
    [
        (CreateResponseRequest(), None),
        (CreateResponseRequest(include=[Include.INCLUDE_REASONING_ENCRYPTED_CONTENT]), None),
        (CreateResponseRequest(include=[Include.INCLUDE_MESSAGE_OUTPUT_TEXT_LOGPROBS]), 0),
        (CreateResponseRequest(logprobs=True), 0),
        (CreateResponseRequest(top_logprobs=20), 20),
        (CreateResponseRequest(logprobs=True, top_logprobs=5), 5),
    ],
)
def test_each_way_to_ask_for_log_probabilities_works(asked: CreateResponseRequest, logprobs: int | None) -> None:
    assert params_of(asked).logprobs == logprobs


@pytest.mark.parametrize("top_k", [0, 40])
def test_a_nucleus_of_nothing_is_the_most_probable_token(top_k: int) -> None:
    params = params_of(CreateResponseRequest(top_p=0, top_k=top_k))
    assert (params.top_p, params.top_k) == (1, 1)


@pytest.mark.parametrize(("named", "used"), [(1, 1), (4096, 4096), (2**63 - 1, 4096)])
def test_a_budget_beyond_the_context_is_clamped(named: int, used: int) -> None:
    assert params_of(CreateResponseRequest(max_output_tokens=named)).max_tokens == used


def test_the_default_budget_is_clamped_too() -> None:
    assert sampling_params(CreateResponseRequest(), default_max_tokens=512, context=100).max_tokens == 100
