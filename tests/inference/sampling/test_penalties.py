"""What bias and penalties do to logits, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from inference.sampling.parameters import SamplingParams
from inference.sampling.penalties import LogitBias, Penalties
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import tokens_of


def test_penalties_lower_what_was_generated_once_and_per_occurrence(new_sampler: NewSampler) -> None:
    """Greedy with a frequency penalty of 1 and a presence penalty of 0.5, by hand."""
    logits = np.array([[3.0, 1.6, 0.0]], np.float32)
    params = SamplingParams(temperature=0, presence_penalty=0.5, frequency_penalty=1.0)
    sampler, state = new_sampler(3), SamplerState(params)
    # Before each draw token 0 stands at 3, 1.5, 1.5, 0.5, -0.5, -0.5 and token 1 at 1.6, 1.6, 0.1, 0.1, 0.1, -0.9.
    assert [tokens_of(sampler, logits, [state])[0] for _ in range(6)] == [0, 1, 0, 0, 1, 2]
    assert logits.tolist() == [[3.0, np.float32(1.6), 0.0]], "the runner's logits stay as they are"


def test_penalties_count_any_number_of_different_tokens(new_sampler: NewSampler) -> None:
    """An extreme presence penalty makes greedy walk through the vocabulary."""
    logits = -np.arange(200, dtype=np.float32)[None]
    params = SamplingParams(temperature=0, presence_penalty=1000.0)
    sampler, state = new_sampler(200), SamplerState(params)
    assert [tokens_of(sampler, logits, [state])[0] for _ in range(200)] == list(range(200))


def test_penalties_apply_before_the_temperature(new_sampler: NewSampler) -> None:
    logits = np.array([[1.0, 0.0]], np.float32)
    params = SamplingParams(seed=1, temperature=0.5, presence_penalty=1.0)
    sampler = new_sampler(2)
    tokens = []
    for seed in range(2000):
        state = SamplerState(replace(params, seed=seed))
        state.accept(0)
        tokens.append(tokens_of(sampler, logits, [state])[0])
    assert np.mean(tokens) == pytest.approx(0.5, abs=0.05)


def test_repetition_divides_positive_and_multiplies_negative_logits_of_prompt_and_output() -> None:
    row = np.array([2.0, -2.0, 2.0, -2.0, 0.0], np.float32)
    penalties = Penalties(SamplingParams(repetition_penalty=2.0), prompt=[0, 1, 0, 4])
    penalties.accept(2)
    penalties.apply(row)
    assert row.tolist() == [1.0, -4.0, 1.0, -2.0, 0.0]


def test_repetition_goes_before_presence_and_frequency() -> None:
    row = np.array([4.0], np.float32)
    params = SamplingParams(repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25)
    penalties = Penalties(params, prompt=[0])
    penalties.accept(0)
    penalties.accept(0)
    penalties.apply(row)
    assert row.tolist() == [4.0 / 2 - 0.5 - 2 * 0.25]


def test_the_prompt_counts_for_repetition_alone() -> None:
    row = np.array([4.0, 4.0], np.float32)
    params = SamplingParams(repetition_penalty=2.0, presence_penalty=0.5, frequency_penalty=0.25)
    Penalties(params, prompt=[0, 0, 0]).apply(row)
    assert row.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("penalty", [5e-324, 1e-40, 1e40, 1.7e308])
def test_an_extreme_repetition_penalty_leaves_a_token_to_draw(new_sampler: NewSampler, penalty: float) -> None:
    logits = np.array([[3.0, 0.0, -3.0]], np.float32)
    sampler = new_sampler(3)
    for temperature in (0.0, 1.0):
        params = SamplingParams(temperature=temperature, repetition_penalty=penalty, seed=1)
        state = SamplerState(params, prompt=[0, 1, 2])
        # Where all that is positive is divided to nothing, it may be drawn like a zero.
        assert tokens_of(sampler, logits, [state])[0] in ([0] if penalty < 1 or temperature == 0 else [0, 1])


def test_a_bias_is_added_before_the_penalties(new_sampler: NewSampler) -> None:
    logits = np.array([[1.0, 0.0]], np.float32)
    params = SamplingParams(temperature=0, logit_bias=((1, 3.0),), repetition_penalty=10.0)
    # (0 + 3) / 10 < 1; penalised first it would be 0 / 10 + 3.
    assert tokens_of(new_sampler(2), logits, [SamplerState(params, prompt=[1])]) == [0]


def test_a_bias_forces_and_forbids(new_sampler: NewSampler) -> None:
    logits = np.array([[5.0, 4.0, 3.0]], np.float32)
    sampler = new_sampler(3)
    forced = SamplingParams(logit_bias=((2, 100.0),), seed=1)
    assert {tokens_of(sampler, logits, [SamplerState(forced)])[0] for _ in range(20)} == {2}
    forbidden = SamplingParams(temperature=0, logit_bias=((0, -100.0),))
    assert tokens_of(sampler, logits, [SamplerState(forbidden)]) == [1]
    assert logits.tolist() == [[5.0, 4.0, 3.0]], "the runner's logits stay as they are"


def test_biases_of_nothing_are_no_bias() -> None:
    assert not LogitBias(((3, 0.0),))
    assert SamplerState(SamplingParams(logit_bias=((3, 0.0),), repetition_penalty=1.0)).plain
