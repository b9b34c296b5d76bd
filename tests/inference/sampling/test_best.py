"""How many of the largest logits decide a draw: with those alone, the draw is the same."""

from dataclasses import replace

import numpy as np
import pytest

from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler

PLAIN = SamplingParams(temperature=0.9, seed=5)
VOCABULARY = 500


@pytest.mark.parametrize(
    ("params", "best"),
    [
        (replace(PLAIN, temperature=0.0), 1),
        (replace(PLAIN, top_k=40), 40),
        (replace(PLAIN, top_k=40, top_p=0.8, min_p=0.01), 40),
        (PLAIN, None),
        (replace(PLAIN, top_p=0.5), None),
        (replace(PLAIN, min_p=0.5), None),
        (replace(PLAIN, temperature=0.0, logprobs=0), None),
        (replace(PLAIN, top_k=4, presence_penalty=0.1), None),
        (replace(PLAIN, top_k=4, repetition_penalty=1.1), None),
        (replace(PLAIN, top_k=4, logit_bias=((3, 1.0),)), None),
        (replace(PLAIN, top_k=4, dry=DryParams(1.0, 2.0, 2, ())), None),
    ],
)
def test_what_may_change_or_report_other_logits_needs_all_of_them(params: SamplingParams, best: int | None) -> None:
    assert SamplerState(params).best == best


@pytest.mark.parametrize(
    "params",
    [replace(PLAIN, temperature=0.0), replace(PLAIN, top_k=7), replace(PLAIN, top_k=40, top_p=0.8, min_p=0.01)],
)
def test_the_best_logits_alone_give_the_same_draws(new_sampler: NewSampler, params: SamplingParams) -> None:
    """Many are equal, as in a float16 graph."""
    logits = np.random.default_rng(1).normal(0, 2, (200, VOCABULARY)).round(1).astype(np.float32)
    states = [SamplerState(params), SamplerState(params)]
    alone = np.full_like(logits, -np.inf)
    kept = np.argsort(-logits, axis=1, kind="stable")[:, : states[0].best]
    np.put_along_axis(alone, kept, np.take_along_axis(logits, kept, 1), axis=1)
    sampler = new_sampler(VOCABULARY)
    draws = [sampler.sample(rows, [state] * len(rows)) for rows, state in zip((logits, alone), states, strict=True)]
    assert draws[0] == draws[1]
