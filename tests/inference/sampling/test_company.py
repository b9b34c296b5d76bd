"""What a row gives is the same, to the bit, whatever the other rows of a step are and ask for."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from inference.bitmask import Bitmask, only
from inference.constraint import Constraint
from inference.runner import Logits
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.sampler import NOT_A_NUMBER, Sampled
from inference.sampling.state import SamplerState
from tests.inference.sampling.conftest import NewSampler
from tests.inference.sampling.definitions import logits_of

VOCABULARY = 5_003  # leaves something over, however it is divided
STEPS = 6
PROMPT = [7, 3, 5, 9, 2, 7, 3, 5, 9]
TOKEN_BYTES = [b"x"] * VOCABULARY
EVERYTHING = SamplingParams(
    temperature=0.8,
    top_k=30,
    top_p=0.95,
    min_p=0.001,
    presence_penalty=0.5,
    frequency_penalty=0.3,
    repetition_penalty=1.2,
    logit_bias=((5, 1.0), (600, 2.5)),
    dry=DryParams(1.0, 1.75, 2, ("\n",)),
    logprobs=20,
)
GREEDY = SamplingParams(temperature=0.0)


class Only:
    """Leaves some tokens, the same at every place."""

    finished = False

    def __init__(self, allowed: Sequence[int]) -> None:
        self._allowed = list(allowed)

    def allows(self, token: int) -> bool:
        return token in self._allowed

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), self._allowed)

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        assert token in self._allowed


KINDS: list[tuple[SamplingParams, Constraint | None]] = [
    (EVERYTHING, None),
    (GREEDY, None),
    (replace(EVERYTHING, logprobs=None), None),
    (replace(EVERYTHING, top_k=0), None),
    (replace(EVERYTHING, top_k=4_000, logprobs=3), None),
    (replace(EVERYTHING, temperature=0.0), None),
    (replace(GREEDY, logprobs=0), None),
    (replace(GREEDY, top_k=3, logprobs=5), None),
    (SamplingParams(), None),
    (SamplingParams(top_k=40), None),
    (SamplingParams(top_p=0.7, temperature=2.0), None),
    (SamplingParams(min_p=1e-6, temperature=3.0), None),
    (EVERYTHING, Only(range(0, VOCABULARY, 2))),
    (EVERYTHING, Only([4_321])),
    (SamplingParams(top_p=0.9), Only([17, 18])),
    (replace(GREEDY, logprobs=2), Only([17, 4_002])),
]


def states() -> list[SamplerState]:
    return [
        SamplerState(replace(params, seed=seed), PROMPT, TOKEN_BYTES, constraint)
        for seed, (params, constraint) in enumerate(KINDS)
    ]


def step(number: int) -> Logits:
    return np.stack([logits_of(VOCABULARY, 2.0, seed=100 * number + row) for row in range(len(KINDS))])


def test_each_row_of_a_mixed_step_gives_what_it_gives_alone(new_sampler: NewSampler) -> None:
    together, alone, sampler = states(), states(), new_sampler(VOCABULARY)
    for number in range(STEPS):
        logits = step(number)
        expected = [
            new_sampler(VOCABULARY).sample(row[None], [state])[0] for row, state in zip(logits, alone, strict=True)
        ]
        assert sampler.sample(logits, together) == expected
        assert NOT_A_NUMBER not in [sampled.token for sampled in expected]


def test_the_order_of_the_rows_changes_none(new_sampler: NewSampler) -> None:
    forwards, backwards, sampler = states(), states()[::-1], new_sampler(VOCABULARY)
    for number in range(STEPS):
        logits = step(number)
        assert sampler.sample(logits[::-1], backwards) == sampler.sample(logits, forwards)[::-1]


def test_rows_without_a_token_leave_the_others_alone(new_sampler: NewSampler) -> None:
    healthy, beside, sampler = states(), states(), new_sampler(VOCABULARY)
    nothing = SamplerState(replace(EVERYTHING, seed=1), PROMPT, TOKEN_BYTES, Only([]))
    logits = step(0)
    broken = logits.copy()
    broken[::3, 77] = np.nan
    sampled = sampler.sample(np.concatenate((logits[:1], broken)), [nothing, *beside])
    expected = sampler.sample(logits, healthy)
    expected[::3] = [Sampled(NOT_A_NUMBER)] * len(expected[::3])
    assert sampled == [Sampled(NOT_A_NUMBER), *expected]


def test_a_report_changes_no_draw(new_sampler: NewSampler) -> None:
    """It tells the draw of its bounds, which hold or not when many of the likeliest tokens are lowered."""
    sampler = new_sampler(VOCABULARY)
    for lowered in (0, 5, 40, 400):
        logits = logits_of(VOCABULARY, 2.0, seed=lowered)
        likeliest = np.argsort(-logits)[:lowered].tolist()
        params = replace(EVERYTHING, seed=3, logit_bias=tuple((token, -50.0) for token in likeliest))
        reported, quiet = (
            SamplerState(replace(params, logprobs=logprobs), PROMPT, TOKEN_BYTES) for logprobs in (20, None)
        )
        rows = np.stack([logits] * 50)
        tokens = [[sampled.token for sampled in sampler.sample(rows, [state] * 50)] for state in (reported, quiet)]
        assert tokens[0] == tokens[1]
        assert len(set(tokens[0])) > 5


def test_a_constrained_row_that_breaks_gives_no_token_though_rows_before_it_did(new_sampler: NewSampler) -> None:
    logits = logits_of(VOCABULARY, 2.0)[None]
    broken = logits.copy()
    broken[0, 77] = np.nan  # a token that the constraint forbids
    for params in (GREEDY, EVERYTHING, replace(EVERYTHING, logprobs=None)):
        sampler, state = new_sampler(VOCABULARY), SamplerState(params, PROMPT, TOKEN_BYTES, Only([17, 18]))
        tokens = [sampler.sample(rows, [state])[0].token for rows in (logits, broken)]
        assert tokens[0] in (17, 18)
        assert tokens[1] == NOT_A_NUMBER


def test_a_constraint_sees_the_logits_as_the_model_made_them(new_sampler: NewSampler) -> None:
    """One that weighs a call against words must not depend on bias and penalties."""
    seen: list[Logits] = []

    class Reader(Only):
        def bitmask(self, logits: Logits) -> Bitmask:
            seen.append(logits.copy())
            return super().bitmask(logits)

    logits = np.stack([logits_of(VOCABULARY, 2.0, seed=seed) for seed in range(4)])
    for params in (EVERYTHING, SamplingParams(presence_penalty=1.0, repetition_penalty=1.1, logit_bias=((5, 1.0),))):
        seen.clear()
        states = [SamplerState(params, [5, *PROMPT], TOKEN_BYTES, Reader([3 * place])) for place in range(4)]
        sampled = new_sampler(VOCABULARY).sample(logits, states)
        assert [each.token for each in sampled] == [0, 3, 6, 9]
        np.testing.assert_array_equal(seen, logits)
