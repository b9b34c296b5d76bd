"""Tokens are drawn with the probabilities that the parameters define."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.sampling.parameters import SamplingParams
from inference.sampling.sampler import NOT_A_NUMBER, Sampler
from inference.sampling.state import SamplerState

Floats = NDArray[np.float32]
DRAWS = 6_000

logit_rows = st.lists(st.floats(-30, 30, width=32) | st.just(-math.inf), min_size=1, max_size=600).filter(
    lambda row: max(row) > -math.inf
)
sampling = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 0.1, 0.7, 1.0, 2.0]),
    top_p=st.sampled_from([0.01, 0.5, 0.9, 0.9999, 1.0]),
    top_k=st.sampled_from([0, 1, 2, 40, 1000]),
    seed=st.integers(-(2**63), 2**64),
)


def logits_of(size: int, spread: float, seed: int = 0) -> Floats:
    return (np.random.default_rng(seed).standard_normal(size) * spread).astype(np.float32)


def tokens_of(sampler: Sampler, logits: Floats, states: Sequence[SamplerState]) -> list[int]:
    return [sampled.token for sampled in sampler.sample(logits, states)]


def probabilities(logits: Floats, params: SamplingParams) -> NDArray[np.float64]:
    """The definition, in double precision and with full sorts."""
    scaled = logits.astype(np.float64) / params.temperature
    order = np.argsort(-scaled, kind="stable")
    weights = np.exp(scaled[order] - scaled[order[0]])
    if params.top_k:
        weights[params.top_k :] = 0
    weights /= weights.sum()
    weights[1:][weights.cumsum()[:-1] >= params.top_p] = 0
    result = np.zeros(len(logits))
    result[order] = weights / weights.sum()
    return result


def assert_drawn_from(tokens: NDArray[np.int64], expected: NDArray[np.float64]) -> None:
    """A chi-square test at about one in a million, for fixed seeds; rare tokens are counted together."""
    counts = np.bincount(tokens, minlength=len(expected))
    assert not counts[expected == 0].any(), "a token outside the kept set was drawn"
    often = expected * len(tokens) >= 8
    observed = np.append(counts[often], counts[~often].sum())
    wanted = np.append(expected[often], expected[~often].sum()) * len(tokens)
    observed, wanted = observed[wanted > 0], wanted[wanted > 0]
    freedom = len(wanted) - 1
    assert freedom >= 1
    statistic = float(((observed - wanted) ** 2 / wanted).sum())
    spread = 2 / (9 * freedom)  # Wilson and Hilferty's approximation
    assert statistic < freedom * (1 - spread + 4.75 * math.sqrt(spread)) ** 3


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(seed=1),
        SamplingParams(seed=2, temperature=0.6),
        SamplingParams(seed=3, temperature=1.7),
        SamplingParams(seed=4, top_p=0.9),
        SamplingParams(seed=5, top_p=0.5, temperature=1.3),
        SamplingParams(seed=6, top_k=20),
        SamplingParams(seed=7, top_k=50, top_p=0.8, temperature=0.9),
        SamplingParams(seed=8, top_k=700, top_p=0.99),
    ],
    ids=str,
)
@pytest.mark.parametrize(("size", "spread"), [(1000, 2.0), (256, 1.0), (513, 0.1)])
def test_draws_follow_the_distribution(params: SamplingParams, size: int, spread: float) -> None:
    logits = logits_of(size, spread)
    sampler, state = Sampler(size), SamplerState(params)
    tokens = np.array([tokens_of(sampler, logits[None], [state])[0] for _ in range(DRAWS)])
    assert_drawn_from(tokens, probabilities(logits, params))


@given(logit_rows, sampling)
@settings(max_examples=300, deadline=None)
def test_a_drawn_token_is_one_that_the_parameters_keep(row: list[float], params: SamplingParams) -> None:
    logits = np.array(row, np.float32)
    token = tokens_of(Sampler(len(row)), logits[None], [SamplerState(params)])[0]
    if params.temperature == 0:
        assert token == int(logits.argmax())
    else:
        kept = probabilities(logits, replace(params, top_p=min(params.top_p + 1e-5, 1.0)))
        assert kept[token] > 0


@given(logit_rows, sampling)
@settings(max_examples=100, deadline=None)
def test_the_same_seed_and_logits_give_the_same_tokens_in_any_company(row: list[float], params: SamplingParams) -> None:
    logits = np.array(row, np.float32)
    others = logits_of(len(row), 3.0)
    alone, together = SamplerState(params), SamplerState(params)
    company = SamplerState(SamplingParams(seed=99, top_p=0.7, presence_penalty=0.5))
    sampler = Sampler(len(row))
    for _ in range(5):
        batch = tokens_of(sampler, np.stack([others, logits, others]), [company, together, company])
        assert tokens_of(Sampler(len(row)), logits[None], [alone])[0] == batch[1]


def test_different_seeds_and_no_seed_give_different_tokens() -> None:
    logits = np.zeros((1, 49152), np.float32)
    sampler = Sampler(49152)
    seeds = [1, 2, 3, None, None, None]
    assert len({tokens_of(sampler, logits, [SamplerState(SamplingParams(seed=seed))])[0] for seed in seeds}) > 4


def test_greedy_takes_the_likeliest_token_whatever_the_other_parameters() -> None:
    logits = np.stack([logits_of(500, 2.0, seed) for seed in range(4)])
    params = SamplingParams(temperature=1e-8, top_p=0.5, top_k=3)
    assert tokens_of(Sampler(500), logits, [SamplerState(params)] * 4) == logits.argmax(axis=1).tolist()


def test_of_equal_logits_top_k_keeps_the_lower_ids() -> None:
    sampler, state = Sampler(600), SamplerState(SamplingParams(seed=0, top_k=3))
    drawn = {tokens_of(sampler, np.zeros((1, 600), np.float32), [state])[0] for _ in range(200)}
    assert drawn == {0, 1, 2}


def test_of_equal_logits_top_p_keeps_the_lower_ids() -> None:
    sampler, state = Sampler(100), SamplerState(SamplingParams(seed=0, top_p=0.035))
    drawn = {tokens_of(sampler, np.zeros((1, 100), np.float32), [state])[0] for _ in range(200)}
    assert drawn == {0, 1, 2, 3}


def test_top_p_of_a_flat_distribution_keeps_its_share_of_a_large_vocabulary() -> None:
    sampler, state = Sampler(20_000), SamplerState(SamplingParams(seed=0, top_p=0.5))
    drawn = [tokens_of(sampler, np.zeros((1, 20_000), np.float32), [state])[0] for _ in range(300)]
    assert 9_700 < max(drawn) < 10_000
    assert min(drawn) < 300


def test_penalties_lower_what_was_generated_once_and_per_occurrence() -> None:
    """Greedy with a frequency penalty of 1 and a presence penalty of 0.5, by hand."""
    logits = np.array([[3.0, 1.6, 0.0]], np.float32)
    params = SamplingParams(temperature=0, presence_penalty=0.5, frequency_penalty=1.0)
    sampler, state = Sampler(3), SamplerState(params)
    # Before each draw token 0 stands at 3, 1.5, 1.5, 0.5, -0.5, -0.5 and token 1 at 1.6, 1.6, 0.1, 0.1, 0.1, -0.9.
    assert [tokens_of(sampler, logits, [state])[0] for _ in range(6)] == [0, 1, 0, 0, 1, 2]
    assert logits.tolist() == [[3.0, np.float32(1.6), 0.0]], "the runner's logits stay as they are"


def test_penalties_count_any_number_of_different_tokens() -> None:
    """An extreme presence penalty makes greedy walk through the vocabulary."""
    logits = -np.arange(200, dtype=np.float32)[None]
    params = SamplingParams(temperature=0, presence_penalty=1000.0)
    sampler, state = Sampler(200), SamplerState(params)
    assert [tokens_of(sampler, logits, [state])[0] for _ in range(200)] == list(range(200))


def test_penalties_apply_before_the_temperature() -> None:
    logits = np.array([[1.0, 0.0]], np.float32)
    params = SamplingParams(seed=1, temperature=0.5, presence_penalty=1.0)
    sampler = Sampler(2)
    tokens = []
    for seed in range(2000):
        state = SamplerState(replace(params, seed=seed))
        state.accept(0)
        tokens.append(tokens_of(sampler, logits, [state])[0])
    assert np.mean(tokens) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_numbers_give_no_token_and_leave_other_rows_alone(temperature: float, bad: float) -> None:
    logits = np.zeros((3, 300), np.float32)
    logits[:, 7] = 50.0
    logits[1, 100] = bad
    states = [SamplerState(SamplingParams(temperature=temperature)) for _ in range(3)]
    assert tokens_of(Sampler(300), logits, states) == [7, NOT_A_NUMBER, 7]
    logits[1] = -math.inf
    assert tokens_of(Sampler(300), logits, states) == [7, NOT_A_NUMBER, 7]


def test_masked_tokens_are_never_drawn() -> None:
    logits = np.full((1, 1000), -math.inf, np.float32)
    logits[0, [3, 999]] = 0.0
    sampler, state = Sampler(1000), SamplerState(SamplingParams(seed=5))
    assert {tokens_of(sampler, logits, [state])[0] for _ in range(100)} == {3, 999}
