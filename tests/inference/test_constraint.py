"""A constraint decides what may be drawn, hears what was drawn, and can end the answer."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from inference.bitmask import Bitmask, only
from inference.fakes import ScriptedRunner
from inference.runner import Logits
from inference.sampling.parameters import SamplingParams
from inference.types import FinishReason, GenerationRequest
from tests.inference.engine_tools import END, GREEDY, generate, spell

PROMPT = (1, 2, 3)


class Spelling:
    """Lets one answer pass, then an end token or nothing."""

    def __init__(self, answer: Sequence[int], *, finishes: bool) -> None:
        self._rest = [*answer] if finishes else [*answer, END]
        self.accepted: list[int] = []

    @property
    def finished(self) -> bool:
        return not self._rest

    def allows(self, token: int) -> bool:
        return token == self._rest[0]

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), self._rest[:1])

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        assert token == self._rest.pop(0)
        self.accepted.append(token)


@pytest.mark.parametrize(
    "sampling", [GREEDY, SamplingParams(temperature=2.0), replace(GREEDY, top_k=1, seed=3)], ids=str
)
@pytest.mark.parametrize("finishes", [False, True])
def test_only_what_the_constraint_allows_is_drawn(sampling: SamplingParams, finishes: bool) -> None:
    constraint = Spelling(spell("HELLO"), finishes=finishes)
    runner = ScriptedRunner(reply=lambda prompt: spell("WORLD"))
    output = generate(runner, GenerationRequest("a", PROMPT, sampling, constraint=constraint))["a"]
    assert (output.text, output.finish) == ("HELLO", FinishReason.STOP)
    assert output.tokens == 5 + (not finishes)
    assert constraint.accepted == spell("HELLO") + [END] * (not finishes)


def test_an_answer_that_is_finished_with_its_last_token_was_not_cut_off() -> None:
    constraint = Spelling(spell("HELLO"), finishes=True)
    request = GenerationRequest("a", PROMPT, replace(GREEDY, max_tokens=5), constraint=constraint)
    assert generate(ScriptedRunner(), request)["a"].finish is FinishReason.STOP


def test_a_budget_cuts_a_constrained_answer_off() -> None:
    constraint = Spelling(spell("HELLO"), finishes=True)
    request = GenerationRequest("a", PROMPT, replace(GREEDY, max_tokens=4), constraint=constraint)
    output = generate(ScriptedRunner(), request)["a"]
    assert (output.text, output.finish) == ("HELL", FinishReason.LENGTH)


def test_neighbours_of_a_constrained_answer_are_not_masked() -> None:
    runner = ScriptedRunner(reply=lambda prompt: spell("WORLD"))
    constraint = Spelling(spell("HELLO"), finishes=True)
    constrained = GenerationRequest("a", PROMPT, GREEDY, constraint=constraint)
    outputs = generate(runner, GenerationRequest("b", (4, 5, 6), GREEDY), constrained)
    assert [outputs[name].text for name in "ab"] == ["HELLO", "WORLD"]


def test_an_answer_that_is_finished_within_a_draft_keeps_all_of_it() -> None:
    """The prompt repeats itself, so several tokens are verified at once, the last of them being the end."""
    text = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" * 2
    drafted = 0
    for length in range(1, 40):
        runner = ScriptedRunner(reply=lambda prompt: spell(text))
        constraint = Spelling(spell(text[:length]), finishes=True)
        sampling = replace(GREEDY, max_tokens=60)
        request = GenerationRequest("a", tuple(spell(text[:29])), sampling, constraint=constraint)
        output = generate(runner, request)["a"]
        assert (output.text, output.tokens, output.finish) == (text[:length], length, FinishReason.STOP)
        drafted += any(call[0] == "prefill" and call[-1] not in (0, 1) for call in runner.calls)
    assert drafted
