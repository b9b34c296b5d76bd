"""Requests that are submitted together share one pass over their prompt, and nothing else."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from inference.bitmask import Bitmask, only
from inference.fakes import ScriptedRunner
from inference.runner import Logits
from inference.sampling.parameters import DryParams, SamplingParams
from inference.sampling.state import SamplerState
from inference.scheduler import COPIED_AT_ONCE
from inference.types import FinishReason, GenerationRequest, Output
from tests.inference.engine_tools import GREEDY, TOKEN_BYTES, HeldGate, Listener, generate, make_engine, spell

PROMPT = tuple(range(1, 21))
DRAWN = SamplingParams(temperature=1.0, max_tokens=12)


def choices(count: int, sampling: SamplingParams = DRAWN) -> list[GenerationRequest]:
    return [GenerationRequest(f"c{seed}", PROMPT, replace(sampling, seed=seed)) for seed in range(count)]


def together(runner: ScriptedRunner, requests: list[GenerationRequest]) -> list[Output]:
    """Submit all of them with one call, and serve them to their ends."""
    listener = Listener()
    engine = make_engine(runner, listener)
    engine.start()
    engine.submit(*requests)
    listener.until_ended(*(each.id for each in requests))
    engine.close()
    return [listener.whole(each.id) for each in requests]


def computed(runner: ScriptedRunner) -> list[int]:
    """The prompt positions that chunks computed, in order."""
    chunks = [call for call in runner.calls if call[0] == "prefill"]
    return [position for _, _, tokens, start, *_ in chunks for position in range(start, start + len(tokens))]  # type: ignore[operator,call-overload,arg-type]


@pytest.mark.parametrize("count", [2, 5, 8])
def test_the_prompt_is_computed_once_and_each_answer_is_what_it_would_be_alone(count: int) -> None:
    runner = ScriptedRunner(slots=8)
    shared = together(runner, choices(count))
    assert computed(runner) == [*range(len(PROMPT))]
    alone = [generate(ScriptedRunner(), request)[request.id] for request in choices(count)]
    assert [output.text for output in shared] == [output.text for output in alone]
    assert len({output.text for output in shared}) == count


def test_what_dry_learns_from_the_prompt_is_learned_once_and_each_goes_on_by_itself() -> None:
    dry = replace(DRAWN, dry=DryParams(multiplier=5.0, base=2.0, allowed_length=1, sequence_breakers=("A",)))
    shared = together(ScriptedRunner(slots=4), choices(4, dry))
    alone = [generate(ScriptedRunner(), request)[request.id] for request in choices(4, dry)]
    assert [output.text for output in shared] == [output.text for output in alone]
    first = SamplerState(dry, PROMPT, TOKEN_BYTES)
    SamplerState(replace(dry, seed=1), PROMPT, token_bytes=(), twin=first)  # without texts nothing can be learned


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_more_choices_than_slots_wait_and_find_the_prompt(slots: int) -> None:
    """Their slots are taken over one by one; only what a decode call may not leave behind is computed again."""
    runner = ScriptedRunner(slots=slots, decoding_differs=True)
    shared = together(runner, choices(7))
    alone = [generate(ScriptedRunner(decoding_differs=True), request)[request.id] for request in choices(7)]
    assert [output.text for output in shared] == [output.text for output in alone]
    assert computed(runner) == [*range(len(PROMPT))]


def test_all_of_them_begin_in_the_step_that_reads_the_prompt() -> None:
    listener = Listener()
    engine = make_engine(ScriptedRunner(slots=2), listener)
    engine.submit(*choices(6))
    engine.start()
    while not any(output.tokens for outputs in listener.outputs.values() for output in outputs):
        listener.take()
    assert len(listener.outputs) == 6
    engine.close()


def test_an_answer_of_one_token_needs_no_slot() -> None:
    runner = ScriptedRunner(slots=1)
    outputs = together(runner, choices(5, replace(DRAWN, max_tokens=1)))
    assert [(output.tokens, output.finish) for output in outputs] == [(1, FinishReason.LENGTH)] * 5
    assert not [call for call in runner.calls if call[0] != "prefill"]


def test_a_prompt_of_one_token_is_read_by_each() -> None:
    """What a lone row wrote is not copied: its last bits differ."""
    requests = [replace(request, prompt=(9,)) for request in choices(3, GREEDY)]
    runner = ScriptedRunner(slots=4, reply=lambda prompt: spell("HELLO"))
    assert [output.text for output in together(runner, requests)] == ["HELLO"] * 3
    assert computed(runner) == [0, 0, 0]


def test_one_can_be_aborted_and_the_others_go_on() -> None:
    gate, listener = HeldGate(), Listener()
    engine = make_engine(ScriptedRunner(slots=2, gate=gate, reply=lambda prompt: spell("HELLO")), listener)
    engine.start()
    engine.submit(*choices(4, GREEDY))
    gate.wait_for_call()
    engine.abort("c0")
    engine.abort("c3")
    gate.open()
    listener.until_ended("c0", "c1", "c2", "c3")
    engine.close()
    finishes = [listener.whole(f"c{index}").finish for index in range(4)]
    assert finishes == [FinishReason.ABORTED, FinishReason.STOP, FinishReason.STOP, FinishReason.ABORTED]
    assert listener.whole("c1").text == "HELLO"


def test_a_prompt_that_cannot_be_read_ends_all_that_it_was_read_for() -> None:
    runner = ScriptedRunner(slots=4, fail_at={2})  # the third chunk is the last
    assert [output.finish for output in together(runner, choices(3))] == [FinishReason.FAILED] * 3


def test_those_that_did_not_begin_with_a_failed_prompt_read_it_themselves() -> None:
    runner = ScriptedRunner(slots=4, fail_at={1}, reply=lambda prompt: spell("HELLO"))
    outputs = together(runner, choices(3, GREEDY))
    assert [output.finish for output in outputs] == [FinishReason.FAILED, FinishReason.STOP, FinishReason.STOP]
    assert [output.text for output in outputs] == ["", "HELLO", "HELLO"]


class OnlyTheFirst:
    """A constraint that allows a token or none."""

    finished = False

    def __init__(self, *, allow: bool) -> None:
        self.accepted = 0
        self._allow = allow

    def allows(self, token: int) -> bool:
        return self._allow and token == 0

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), [0] if self._allow else [])

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        self.accepted += 1


@pytest.mark.parametrize("stuck", [0, 1])
def test_one_that_cannot_begin_fails_alone(stuck: int) -> None:
    requests = [
        replace(request, constraint=OnlyTheFirst(allow=index != stuck))
        for index, request in enumerate(choices(3, GREEDY))
    ]
    finishes = [output.finish for output in together(ScriptedRunner(slots=4), requests)]
    expected = [FinishReason.STOP] * 3  # token 0 is the end
    expected[stuck] = FinishReason.FAILED
    assert finishes == expected


def test_much_is_not_copied_in_one_step() -> None:
    """Running streams stand still while a prompt is copied, so that takes several steps."""
    runner = ScriptedRunner(slots=6, max_length=1500)
    prompt = tuple(np.random.default_rng(1).integers(1, 60, 1400).tolist())
    together(runner, [replace(request, prompt=prompt) for request in choices(6)])
    steps = [0]
    for kind, *numbers in runner.calls:
        if kind == "copy":
            _, _, length, start = map(int, map(str, numbers))
            steps[-1] += length - start
        elif kind == "decode":
            steps.append(0)
    assert max(steps) == COPIED_AT_ONCE
    assert sum(steps) == 5 * 1400
