"""What the engine is told about sampling."""

from __future__ import annotations

import pytest

from answerd.v1.create_response_pb2 import CreateResponseRequest
from inference.sampling.parameters import SamplingParams
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
        seed=0,
        presence_penalty=-1,
        frequency_penalty=2,
        max_output_tokens=7,
        stop=["a", "b"],
    )
    assert params_of(request) == SamplingParams(
        temperature=0,
        top_p=0.5,
        top_k=40,
        seed=0,
        presence_penalty=-1,
        frequency_penalty=2,
        max_tokens=7,
        stop=("a", "b"),
    )


@pytest.mark.parametrize("top_k", [0, 40])
def test_a_nucleus_of_nothing_is_the_most_probable_token(top_k: int) -> None:
    params = params_of(CreateResponseRequest(top_p=0, top_k=top_k))
    assert (params.top_p, params.top_k) == (1, 1)


@pytest.mark.parametrize(("named", "used"), [(1, 1), (4096, 4096), (2**63 - 1, 4096)])
def test_a_budget_beyond_the_context_is_clamped(named: int, used: int) -> None:
    assert params_of(CreateResponseRequest(max_output_tokens=named)).max_tokens == used


def test_the_default_budget_is_clamped_too() -> None:
    assert sampling_params(CreateResponseRequest(), default_max_tokens=512, context=100).max_tokens == 100
