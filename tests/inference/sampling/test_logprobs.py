"""Log-probabilities are those of the model's own distribution."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.sampling.arrays import Floats
from inference.sampling.logprobs import Logprob
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import logits_of

EVERYTHING = SamplingParams(
    temperature=0.5,
    top_k=5,
    top_p=0.9,
    min_p=0.1,
    seed=1,
    presence_penalty=1.0,
    frequency_penalty=1.0,
    repetition_penalty=2.0,
    logit_bias=((3, 50.0),),
    dry=DryParams(1.0, 2.0, 1, ()),
    logprobs=4,
)


def sampled(new_sampler: NewSampler, logits: Floats, params: SamplingParams) -> Logprob:
    state = SamplerState(params, [1, 2, 1], [b"x"] * logits.size)
    [result] = new_sampler(logits.size).sample(logits[None], [state])
    assert result.logprob is not None
    return result.logprob


@given(
    row=st.lists(st.floats(-40, 40, width=32), min_size=1, max_size=700),
    alternatives=st.integers(0, 20),
    temperature=st.sampled_from([0.0, 1.0]),
)
def test_they_are_those_of_the_softmax(
    new_sampler: NewSampler, row: list[float], alternatives: int, temperature: float
) -> None:
    logits = np.array(row, np.float32)
    result = sampled(new_sampler, logits, SamplingParams(temperature=temperature, seed=3, logprobs=alternatives))
    exact = logits.astype(np.float64)
    exact -= exact.max() + math.log(np.exp(exact - exact.max()).sum())
    assert result.logprob == pytest.approx(exact[result.token], abs=1e-4)
    likeliest = np.argsort(-logits, kind="stable")[:alternatives].tolist()
    assert list(result.top_tokens) == likeliest
    assert list(result.top_logprobs) == pytest.approx(exact[likeliest].tolist(), abs=1e-4)


def test_no_processor_changes_them(new_sampler: NewSampler) -> None:
    logits = logits_of(1000, 2.0)
    result = sampled(new_sampler, logits, EVERYTHING)
    assert result.token == 3, "the bias decides what is drawn"
    plain = sampled(new_sampler, logits, SamplingParams(temperature=0, logprobs=4))
    assert (result.top_tokens, result.top_logprobs) == (plain.top_tokens, plain.top_logprobs)
    assert result.logprob == pytest.approx(plain.logprob + float(logits[3] - logits[plain.token]))


def test_an_impossible_token_has_a_number_that_can_be_written(new_sampler: NewSampler) -> None:
    logits = np.array([0.0, -np.inf, -np.inf], np.float32)
    result = sampled(new_sampler, logits, SamplingParams(logprobs=3))
    assert (result.top_tokens, result.top_logprobs) == ([0, 1, 2], [0.0, -9999.0, -9999.0])


def test_greedy_neighbours_do_without(new_sampler: NewSampler) -> None:
    logits = np.stack([logits_of(500, 1.0, seed) for seed in range(2)])
    states = [SamplerState(SamplingParams(temperature=0, logprobs=asked)) for asked in (None, 0)]
    without, asked = new_sampler(500).sample(logits, states)
    assert [without.token, asked.token] == logits.argmax(axis=1).tolist()
    assert without.logprob is None
    assert asked.logprob is not None
