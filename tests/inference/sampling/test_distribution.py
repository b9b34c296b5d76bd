"""Tokens are drawn with the probabilities that the parameters define, and those differ from the model's own."""

import string
from dataclasses import fields, replace

import pytest

from inference.sampling.arrays import Floats
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import Probabilities, follow, logits_of, probabilities, processed, tokens_of

DRAWS = 3_000
PROMPT = [7, 3, 5, 9, 2, 7, 3, 5, 9]  # repeats itself
OUTPUT = [4, 7, 3, 4, 4, 7, 3]
TOKEN_BYTES = [letter.encode() for letter in string.printable] * 600
ALONE = [
    SamplingParams(temperature=0.6),
    SamplingParams(temperature=1.7),
    SamplingParams(top_k=20),
    SamplingParams(top_k=300),
    SamplingParams(top_p=0.75),
    SamplingParams(top_p=0.5),
    SamplingParams(min_p=0.1),
    SamplingParams(presence_penalty=2.0),
    SamplingParams(presence_penalty=-1.5),
    SamplingParams(frequency_penalty=1.0),
    SamplingParams(frequency_penalty=-0.5),
    SamplingParams(repetition_penalty=1.8),
    SamplingParams(repetition_penalty=0.5),
    SamplingParams(logit_bias=((7, 3.0), (11, 2.0), (12, -100.0))),
    SamplingParams(dry=DryParams(multiplier=3.0, base=1.5, allowed_length=1, sequence_breakers=())),
]
TOGETHER = [
    SamplingParams(top_p=0.5, temperature=1.3),
    SamplingParams(top_k=50, top_p=0.8, temperature=0.9),
    SamplingParams(top_k=60, min_p=0.05, temperature=1.4),
    SamplingParams(top_p=0.9, min_p=0.02, temperature=1.2),
    SamplingParams(
        temperature=1.1,
        top_k=200,
        top_p=0.95,
        min_p=0.005,
        presence_penalty=0.5,
        frequency_penalty=0.3,
        repetition_penalty=1.2,
        logit_bias=((5, 1.0), (600, 2.5)),
        dry=DryParams(multiplier=1.0, base=1.75, allowed_length=2, sequence_breakers=("\n",)),
    ),
]


def named(value: object) -> str:
    """A parameter set by what it sets."""
    if not isinstance(value, SamplingParams):
        return str(value)
    default = SamplingParams()
    chosen = {field.name: getattr(value, field.name) for field in fields(value)}
    return ",".join(name for name in chosen if chosen[name] != getattr(default, name)) or "defaults"


def draws(new_sampler: NewSampler, logits: Floats, params: SamplingParams, count: int) -> list[int]:
    """Each of another request that stands at the same place."""
    sampler = new_sampler(logits.size)
    tokens = []
    for seed in range(count):
        state = SamplerState(replace(params, seed=seed), PROMPT, TOKEN_BYTES)
        for token in OUTPUT:
            state.accept(token)
        tokens += tokens_of(sampler, logits[None], [state])
    return tokens


def expectation(logits: Floats, params: SamplingParams) -> Probabilities:
    return probabilities(processed(logits, params, PROMPT, OUTPUT, TOKEN_BYTES), params)


def prominent(logits: Floats) -> Floats:
    """Makes the tokens of prompt and output likely, so that what is done to them shows."""
    result = logits.copy()
    result[[2, 3, 4, 5, 7, 9]] = [3.0, 5.0, 5.5, -0.5, 6.0, 2.0]
    return result


@pytest.mark.parametrize("params", ALONE, ids=named)
def test_each_parameter_changes_the_distribution_as_it_defines(new_sampler: NewSampler, params: SamplingParams) -> None:
    logits = prominent(logits_of(1000, 1.0))
    tokens = draws(new_sampler, logits, params, DRAWS)
    assert follow(tokens, expectation(logits, params))
    assert not follow(tokens, expectation(logits, SamplingParams())), "the parameter had no effect"


def test_a_repetition_that_a_sequence_breaker_cuts_short_costs_less(new_sampler: NewSampler) -> None:
    """The last three tokens came before, and the breaker is the text of the middle one."""
    logits = prominent(logits_of(1000, 1.0))
    broken, whole = (SamplingParams(dry=DryParams(1.0, 1.5, 1, breakers)) for breakers in (("7",), ()))
    tokens = draws(new_sampler, logits, broken, DRAWS)
    assert follow(tokens, expectation(logits, broken))
    assert not follow(tokens, expectation(logits, whole))


@pytest.mark.parametrize("params", TOGETHER, ids=named)
def test_parameters_work_together_in_their_order(new_sampler: NewSampler, params: SamplingParams) -> None:
    logits = prominent(logits_of(1000, 1.5))
    assert follow(draws(new_sampler, logits, params, DRAWS), expectation(logits, params))


@pytest.mark.parametrize(("size", "spread"), [(1000, 2.0), (256, 1.0), (513, 0.1)])
@pytest.mark.parametrize("params", [SamplingParams(), *ALONE[3:7], *TOGETHER[:4]], ids=named)
def test_one_generator_draws_on_and_on(
    new_sampler: NewSampler, params: SamplingParams, size: int, spread: float
) -> None:
    logits = logits_of(size, spread)
    sampler, state = new_sampler(size), SamplerState(replace(params, seed=5))
    tokens = [tokens_of(sampler, logits[None], [state])[0] for _ in range(2 * DRAWS)]
    assert follow(tokens, probabilities(logits, params))


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 3.0])
@pytest.mark.parametrize("params", [SamplingParams(), *ALONE, *TOGETHER], ids=named)
def test_draws_from_a_whole_vocabulary_follow_the_distribution(
    new_sampler: NewSampler, params: SamplingParams, spread: float
) -> None:
    logits = prominent(logits_of(49_152, spread))
    assert follow(draws(new_sampler, logits, params, 30_000), expectation(logits, params))


def test_the_test_finds_a_distribution_that_is_a_little_off(new_sampler: NewSampler) -> None:
    logits = logits_of(200, 2.0)
    tokens = draws(new_sampler, logits, SamplingParams(), DRAWS)
    assert follow(tokens, probabilities(logits, SamplingParams()))
    assert not follow(tokens, probabilities(logits, SamplingParams(temperature=0.75)))
    assert not follow(tokens, probabilities(logits, SamplingParams(top_p=0.9)))
