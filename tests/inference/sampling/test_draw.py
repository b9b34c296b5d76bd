"""Which tokens can be drawn, and that nothing but the seed, the logits and the parameters decides."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.sampling.parameters import SamplingParams
from inference.sampling.sampler import NOT_A_NUMBER
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import logits_of, probabilities, tokens_of

logit_rows = st.lists(st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=600).filter(
    lambda row: max(row) > -math.inf
)
sampling = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.0]),
    top_p=st.sampled_from([0.01, 0.5, 0.9, 0.9999, 1.0]),
    top_k=st.sampled_from([0, 1, 2, 40, 1000]),
    min_p=st.sampled_from([0.0, 1e-6, 0.1, 0.5]),
    seed=st.integers(-(2**63), 2**64),
)


@given(logit_rows, sampling)
@settings(max_examples=300, deadline=None)
def test_a_drawn_token_is_one_that_the_parameters_keep(
    new_sampler: NewSampler, row: list[float], params: SamplingParams
) -> None:
    logits = np.array(row, np.float32)
    token = tokens_of(new_sampler(len(row)), logits[None], [SamplerState(params)])[0]
    if params.temperature == 0:
        assert token == int(logits.argmax())
    else:
        # Single precision may take what is a hair less likely for as likely.
        lenient = replace(params, top_p=min(params.top_p + 1e-5, 1.0), min_p=params.min_p * (1 - 1e-5))
        kept = logits[probabilities(logits, lenient) > 0]
        assert logits[token] >= kept.min() - 1e-5


@given(logit_rows, sampling)
@settings(max_examples=100, deadline=None)
def test_the_same_seed_and_logits_give_the_same_tokens_in_any_company(
    new_sampler: NewSampler, row: list[float], params: SamplingParams
) -> None:
    logits = np.array(row, np.float32)
    others = logits_of(len(row), 3.0)
    alone, together = SamplerState(params), SamplerState(params)
    company = SamplerState(SamplingParams(seed=99, top_p=0.7, presence_penalty=0.5))
    sampler = new_sampler(len(row))
    for _ in range(5):
        batch = tokens_of(sampler, np.stack([others, logits, others]), [company, together, company])
        assert tokens_of(new_sampler(len(row)), logits[None], [alone])[0] == batch[1]


def test_different_seeds_and_no_seed_give_different_tokens(new_sampler: NewSampler) -> None:
    logits = np.zeros((1, 49152), np.float32)
    sampler = new_sampler(49152)
    seeds = [1, 2, 3, None, None, None]
    assert len({tokens_of(sampler, logits, [SamplerState(SamplingParams(seed=seed))])[0] for seed in seeds}) > 4


def test_greedy_takes_the_likeliest_token_whatever_the_other_parameters(new_sampler: NewSampler) -> None:
    logits = np.stack([logits_of(500, 2.0, seed) for seed in range(4)])
    params = SamplingParams(temperature=1e-8, top_p=0.5, top_k=3)
    assert tokens_of(new_sampler(500), logits, [SamplerState(params)] * 4) == logits.argmax(axis=1).tolist()


def test_of_equal_logits_top_k_keeps_the_lower_ids(new_sampler: NewSampler) -> None:
    sampler, state = new_sampler(600), SamplerState(SamplingParams(seed=0, top_k=3))
    drawn = {tokens_of(sampler, np.zeros((1, 600), np.float32), [state])[0] for _ in range(200)}
    assert drawn == {0, 1, 2}


def test_of_equal_logits_top_p_keeps_the_lower_ids(new_sampler: NewSampler) -> None:
    sampler, state = new_sampler(100), SamplerState(SamplingParams(seed=0, top_p=0.035))
    drawn = {tokens_of(sampler, np.zeros((1, 100), np.float32), [state])[0] for _ in range(200)}
    assert drawn == {0, 1, 2, 3}


def test_top_p_of_a_flat_distribution_keeps_its_share_of_a_large_vocabulary(new_sampler: NewSampler) -> None:
    sampler, state = new_sampler(20_000), SamplerState(SamplingParams(seed=0, top_p=0.5))
    drawn = [tokens_of(sampler, np.zeros((1, 20_000), np.float32), [state])[0] for _ in range(300)]
    assert 9_700 < max(drawn) < 10_000
    assert min(drawn) < 300


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_numbers_give_no_token_and_leave_other_rows_alone(
    new_sampler: NewSampler, temperature: float, bad: float
) -> None:
    logits = np.zeros((3, 300), np.float32)
    logits[:, 7] = 50.0
    logits[1, 100] = bad
    states = [SamplerState(SamplingParams(temperature=temperature)) for _ in range(3)]
    assert tokens_of(new_sampler(300), logits, states) == [7, NOT_A_NUMBER, 7]
    logits[1] = -math.inf
    assert tokens_of(new_sampler(300), logits, states) == [7, NOT_A_NUMBER, 7]


def test_masked_tokens_are_never_drawn(new_sampler: NewSampler) -> None:
    logits = np.full((1, 1000), -math.inf, np.float32)
    logits[0, [3, 999]] = 0.0
    sampler, state = new_sampler(1000), SamplerState(SamplingParams(seed=5))
    assert {tokens_of(sampler, logits, [state])[0] for _ in range(100)} == {3, 999}
