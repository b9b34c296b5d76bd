"""A constrained row gives what it would give if all tokens that its constraint forbids were left out from the start.

Where that makes no difference, a token is drawn from all of them, and the constraint is asked afterwards. The
constraints here allow one by one what they allow together; a grammar's split of a certain text is its own test's.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.bitmask import Bitmask, only
from inference.runner import Logits
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.sampler import NOT_A_NUMBER
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import follow, logits_of, probabilities, processed, tokens_of

SIZE = 600
PROMPT = [7, 3, 5, 9, 2, 7, 3, 5, 9]
TOKEN_BYTES = [b"x"] * SIZE
CUTS = [{"top_k": 40}, {"top_p": 0.8}, {"min_p": 0.05}, {"top_k": 60, "top_p": 0.9, "min_p": 0.01}]


class Some:
    """Lets the same tokens pass at every place, and counts how often it is asked for all of them."""

    finished = False

    def __init__(self, tokens: list[int]) -> None:
        self.tokens, self.asked = tokens, 0

    def allows(self, token: int) -> bool:
        return token in self.tokens

    def bitmask(self, logits: Logits) -> Bitmask:
        self.asked += 1
        return only(len(logits), self.tokens)

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        assert token in self.tokens


def masked(logits: Logits, tokens: list[int]) -> Logits:
    result = np.full_like(logits, -np.inf)
    result[tokens] = logits[tokens]
    return result


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
@pytest.mark.parametrize("cuts", [{}, *CUTS], ids=str)
def test_draws_follow_the_distribution_over_what_is_allowed(
    new_sampler: NewSampler, cuts: dict[str, float], share: float
) -> None:
    random = np.random.default_rng(7)
    tokens = np.flatnonzero(random.random(SIZE) < share).tolist()
    logits, sampler = logits_of(SIZE, 1.5), new_sampler(SIZE)
    params = SamplingParams(temperature=1.2, logit_bias=((tokens[0], 2.0), (tokens[-1], -1.0)), seed=3)
    params = replace(params, **cuts)  # type: ignore[arg-type]
    state = SamplerState(params, constraint=Some(tokens))
    drawn = [tokens_of(sampler, logits[None], [state])[0] for _ in range(3000)]
    assert follow(drawn, probabilities(processed(masked(logits, tokens), params), params))


@given(
    share=st.sampled_from([0.01, 0.3, 0.99]),
    params=st.builds(
        SamplingParams,
        temperature=st.just(0.0),
        top_k=st.sampled_from([0, 2]),
        top_p=st.sampled_from([0.3, 1.0]),
        presence_penalty=st.sampled_from([-2.0, 0.0, 2.0]),
        repetition_penalty=st.sampled_from([0.5, 1.0, 3.0]),
        dry=st.sampled_from([None, DryParams(1.0, 1.75, 1, ())]),
        logit_bias=st.sampled_from([(), ((3, 5.0), (9, -5.0), (100, 9.0))]),
        logprobs=st.sampled_from([None, 0, 3]),
    ),
    distinct=st.sampled_from([2, 10, 10**6]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_the_likeliest_of_what_is_allowed_is_taken(
    new_sampler: NewSampler, share: float, params: SamplingParams, distinct: int, seed: int
) -> None:
    """The lowest of equal ones."""
    random = np.random.default_rng(seed)
    logits = (random.integers(-distinct, distinct, SIZE) * (15 / distinct)).astype(np.float32)
    tokens = np.flatnonzero(random.random(SIZE) < share).tolist() or [5]
    state, sampler = SamplerState(params, PROMPT, TOKEN_BYTES, Some(tokens)), new_sampler(SIZE)
    output: list[int] = []
    for _ in range(3):
        expected = masked(processed(logits, params, PROMPT, output, TOKEN_BYTES).astype(np.float32), tokens)
        [token] = tokens_of(sampler, logits[None], [state])
        assert token in tokens
        assert expected[token] == pytest.approx(expected.max(), rel=1e-6)
        if expected[token] == expected.max():
            assert token == int(expected.argmax())
        output.append(token)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_all_that_is_allowed_is_asked_for_only_where_a_token_is_refused(
    new_sampler: NewSampler, temperature: float
) -> None:
    logits = np.zeros(SIZE, np.float32)
    logits[17] = 50.0
    for tokens, asked in (([16, 17, 18], 0), ([16, 18], 3)):
        constraint = Some(tokens)
        state = SamplerState(SamplingParams(temperature=temperature), constraint=constraint)
        for _ in range(3):
            assert tokens_of(new_sampler(SIZE), logits[None], [state])[0] in tokens
        assert constraint.asked == asked


def test_a_cut_leaves_the_likeliest_of_what_is_allowed(new_sampler: NewSampler) -> None:
    """Not what it would leave of all, of which nothing might be allowed."""
    logits = logits_of(SIZE, 2.0)
    tokens = np.argsort(-logits)[SIZE // 2 :].tolist()
    for cuts in CUTS:
        params = replace(SamplingParams(seed=1), **cuts)  # type: ignore[arg-type]
        state = SamplerState(params, constraint=Some(tokens))
        for _ in range(20):
            assert tokens_of(new_sampler(SIZE), logits[None], [state])[0] in tokens


def test_where_nothing_is_allowed_there_is_no_token(new_sampler: NewSampler) -> None:
    for params in (SamplingParams(), SamplingParams(temperature=0), SamplingParams(top_k=5)):
        state = SamplerState(params, constraint=Some([]))
        assert tokens_of(new_sampler(SIZE), logits_of(SIZE, 2.0)[None], [state]) == [NOT_A_NUMBER]
