"""The kernels draw what numpy draws, and nothing that they are given makes them write elsewhere."""

import ctypes
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.bitmask import Bitmask, only
from inference.runner import Logits
from inference.sampling import compiled_rows
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.rows import Row
from inference.sampling.sampler import Sampler
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import logits_of, tokens_of
from tests.inference.sampling.test_company import KINDS, PROMPT, TOKEN_BYTES, VOCABULARY, states


class Evens:
    """Leaves tokens of even ids."""

    finished = False

    def allows(self, token: int) -> bool:
        return token % 2 == 0

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), range(0, len(logits), 2))

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        assert token % 2 == 0


params = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1e-7, 0.3, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 60, 500]),
    top_p=st.sampled_from([1e-6, 0.3, 0.95, 1.0]),
    min_p=st.sampled_from([0.0, 0.01, 0.4, 1.0]),
    presence_penalty=st.sampled_from([-2.0, 0.0, 2.0]),
    repetition_penalty=st.sampled_from([0.5, 1.0, 3.0]),
    dry=st.sampled_from([None, DryParams(1.0, 1.75, 1, ())]),
    logprobs=st.sampled_from([None, 0, 1, 3, 20]),
)


@given(
    size=st.integers(1, 60) | st.integers(60, 3000),
    distinct=st.sampled_from([3, 60, 10**6]),
    forbidden=st.sampled_from([0.0, 0.0, 0.5, 0.99]),
    params=params,
    changed=st.sampled_from([0, 1, 40, 2000]),
    constrained=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_they_draw_and_report_what_numpy_does(
    compiled_sampler: NewSampler,
    size: int,
    distinct: int,
    forbidden: float,
    params: SamplingParams,
    changed: int,
    constrained: bool,
    seed: int,
) -> None:
    """Whichever tokens are raised into the likeliest, or lowered out of them, and whichever are equal or forbidden."""
    random = np.random.default_rng(seed)
    logits = (random.integers(-distinct, distinct, (1, size)) * (15 / distinct)).astype(np.float32)
    logits[random.random((1, size)) < forbidden] = -np.inf
    biased = random.permutation(size)[:changed].tolist()
    params = replace(params, seed=seed, logit_bias=tuple((token, float(random.choice([-9, 9]))) for token in biased))
    prompt = random.integers(0, size, changed).tolist()
    constraint = Evens() if constrained else None
    expected, found = (
        sampler.sample(logits, [SamplerState(params, prompt, [b"x"] * size, constraint)])[0]
        for sampler in (Sampler.of(size), compiled_sampler(size))
    )
    assert found.token == expected.token
    assert (found.logprob is None) == (expected.logprob is None)
    if expected.logprob is not None and found.logprob is not None:
        assert list(found.logprob.top_tokens) == list(expected.logprob.top_tokens)
        assert list(found.logprob.top_logprobs) == pytest.approx(list(expected.logprob.top_logprobs), abs=1e-5)
        assert found.logprob.logprob == pytest.approx(expected.logprob.logprob, abs=1e-5)


def test_they_go_on_as_numpy_does(compiled_sampler: NewSampler) -> None:
    """With penalties that follow what was drawn, and constraints."""
    ours, theirs = states(), states()
    for number in range(8):
        logits = np.stack([logits_of(VOCABULARY, 2.0, seed=100 * number + row) for row in range(len(KINDS))])
        assert tokens_of(compiled_sampler(VOCABULARY), logits, ours) == tokens_of(
            Sampler.of(VOCABULARY), logits, theirs
        )


def test_tokens_beyond_the_vocabulary_change_nothing(compiled_sampler: NewSampler) -> None:
    """A tokenizer may know more tokens than the model has logits for."""
    beyond = ((-1, 5.0), (-(2**40), 5.0), (VOCABULARY, 5.0), (2**62, 5.0))
    params = SamplingParams(temperature=0, presence_penalty=1.0, repetition_penalty=1.1, logit_bias=beyond)
    logits = logits_of(VOCABULARY, 2.0)[None]
    state = SamplerState(params, [*PROMPT, VOCABULARY, 2**40], TOKEN_BYTES)
    assert tokens_of(compiled_sampler(VOCABULARY), logits, [state]) == [int(logits.argmax())]


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("reported", [True, False])
def test_a_search_for_few_sorts_few(own_kernels: Path, count: int, reported: bool) -> None:
    rows = compiled_rows.CompiledRows(VOCABULARY, own_kernels)
    params = SamplingParams(temperature=0, logprobs=count) if reported else SamplingParams(top_k=count)
    rows(logits_of(VOCABULARY, 2.0)[None], [Row(0, SamplerState(params))])
    assert sorted_by(rows) <= 4 * count


@pytest.mark.parametrize("allowed", [1, 5, 100])
def test_a_search_among_few_allowed_tokens_sorts_no_others(own_kernels: Path, allowed: int) -> None:
    rows = compiled_rows.CompiledRows(VOCABULARY, own_kernels)
    bitmask = only(VOCABULARY, range(0, 7 * allowed, 7))
    [drawn] = rows(logits_of(VOCABULARY, 2.0)[None], [Row(0, SamplerState(SamplingParams(top_k=40)), bitmask)])
    assert drawn is not None
    assert sorted_by(rows) <= allowed


def sorted_by(rows: compiled_rows.CompiledRows) -> int:
    """Candidates of the largest search."""
    return max(int(np.count_nonzero(candidates)) for candidates in rows._arrays[2:])


def test_both_sides_have_the_same_structures(own_kernels: Path) -> None:
    sizes = (ctypes.c_size_t * 3).in_dll(ctypes.CDLL(str(own_kernels)), "answerd_sizes")
    ours = (compiled_rows._Work, compiled_rows._Row, compiled_rows._Results)
    assert list(sizes) == [ctypes.sizeof(each) for each in ours]
