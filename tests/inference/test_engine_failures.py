"""What the engine does when a call of the runner, a move or the engine itself fails: others go on, everybody hears."""

import random
from dataclasses import replace

import pytest

from inference.engine import Outputs
from inference.fakes import ScriptedRunner
from inference.sampling.parameters import DryParams
from inference.scheduler import COPIED_AT_ONCE
from inference.types import (
    EngineStats,
    EngineStopped,
    FinishReason,
)
from tests.inference.engine_tools import (
    GREEDY,
    Listener,
    generate,
    make_engine,
    random_requests,
    request,
    running,
    scripted,
)


def test_a_failed_prompt_ends_only_its_own_sequence() -> None:
    """Calls: 0 reads a, 1 reads b and raises, 2 decodes a."""
    runner = scripted("ABCD", fail_at={1})
    outputs = generate(runner, request("a", (1, 2)), request("b", (3, 4)), request("c", (5, 6)))
    assert outputs["a"].text == "ABCD"
    assert (outputs["b"].finish, outputs["b"].tokens) == (FinishReason.FAILED, 0)
    assert outputs["c"].text == "ABCD"


def test_a_failed_decode_call_ends_its_rows_and_not_the_prompt_beside_it() -> None:
    """Calls: 0 reads a, 1 reads b, 2 decodes a and raises."""
    outputs = generate(scripted("ABCD", fail_at={2}), request("a", (1, 2)), request("b", (3, 4)))
    assert (outputs["a"].text, outputs["a"].finish) == ("A", FinishReason.FAILED)
    assert outputs["b"].text == "ABCD"


def test_nothing_that_a_failed_call_touched_is_reused() -> None:
    with running(ScriptedRunner(fail_at={3})) as (engine, listener):
        for name in ("a", "again"):
            engine.submit(request(name, range(1, 9)))
            listener.until_ended(name)
    assert listener.whole("a").finish is FinishReason.FAILED
    assert listener.whole("again").cached_tokens == 0


def test_a_failed_move_ends_the_step_and_forgets_what_slots_keep() -> None:
    """The first copy fails: it is the twin's, whose prefix is found in the running sequence a."""
    runner = FailingCopy(slots=3)
    with running(runner) as (engine, listener):
        engine.submit(request("old", range(30, 50)))
        listener.until_ended("old")
        engine.submit(request("a", range(1, 30), replace(GREEDY, max_tokens=60)))
        engine.submit(request("twin", range(1, 30)))
        listener.until_ended("a", "twin")
        for name, prompt in (("again", range(1, 30)), ("old again", range(30, 50))):
            engine.submit(request(name, prompt))
            listener.until_ended(name)
    assert {listener.whole(name).finish for name in ("a", "twin")} == {FinishReason.FAILED}
    for name in ("again", "old again"):
        assert listener.whole(name).cached_tokens == 0
        assert listener.whole(name).finish is not FinishReason.FAILED


def test_a_prompt_whose_beginning_cannot_be_copied_fails_although_none_of_it_was_read_in_that_step() -> None:
    """It is so long that a step only copies; what could not be copied must not pass for read."""
    prompt = [1 + index % 60 for index in range(3 * COPIED_AT_ONCE)]
    runner = FailingCopy(slots=3, max_length=len(prompt) + 100)
    with running(runner) as (engine, listener):
        engine.submit(request("a", prompt, replace(GREEDY, max_tokens=60)))
        engine.submit(request("twin", prompt, replace(GREEDY, max_tokens=2)))
        listener.until_ended("a", "twin")
        engine.submit(request("again", prompt, replace(GREEDY, max_tokens=2)))
        listener.until_ended("again")
    assert {listener.whole(name).finish for name in ("a", "twin")} == {FinishReason.FAILED}
    assert listener.whole("again").finish is not FinishReason.FAILED


class FailingCopy(ScriptedRunner):
    """No copy ever succeeds."""

    def copy(self, source: int, target: int, length: int, start: int = 0) -> None:
        raise RuntimeError("scripted failure of a copy")


def test_a_request_that_cannot_begin_fails_alone() -> None:
    """DRY looks up the text of a token that the model does not have."""
    dry = replace(GREEDY, dry=DryParams(1.0, 2.0, 2, ("A",)))
    with running(scripted("ABCD", slots=2)) as (engine, listener):
        engine.submit(request("bad", (1, 999), dry))
        listener.until_ended("bad")
        engine.submit(request("good", (1, 2), dry))
        listener.until_ended("good")
    assert (listener.whole("bad").finish, listener.whole("bad").tokens) == (FinishReason.FAILED, 0)
    assert listener.whole("good").text == "ABCD"


def test_of_several_requests_with_one_prompt_the_one_that_cannot_begin_fails_alone() -> None:
    broken = replace(GREEDY, logit_bias=(("no token", 1.0),))  # type: ignore[arg-type]
    with running(scripted("ABCD", slots=4)) as (engine, listener):
        engine.submit(request("a"), request("b", sampling=broken), request("c"))
        listener.until_ended("a", "b", "c")
    assert listener.whole("b").finish is FinishReason.FAILED
    assert [listener.whole(name).text for name in "ac"] == ["ABCD"] * 2


def test_three_failures_in_a_row_are_reported_until_a_call_succeeds() -> None:
    with running(ScriptedRunner(slots=1, fail_at={0, 1, 2})) as (engine, listener):
        for index in range(4):
            engine.submit(request(f"r{index}"))
            listener.until_ended(f"r{index}")
            failure = listener.stats[-1].failure
            assert (failure is not None) == (index == 2)
            if failure is not None:
                assert failure == "The last 3 prefill calls of the runner failed."
        assert engine.stats.failure is None


def test_decode_calls_that_always_fail_are_reported_although_prompts_succeed() -> None:
    """Calls: a prompt is read, its first decode call fails, and so on."""
    with running(ScriptedRunner(slots=1, fail_at={1, 3, 5})) as (engine, listener):
        for index in range(4):
            engine.submit(request(f"r{index}"))
            listener.until_ended(f"r{index}")
            assert (listener.stats[-1].failure is not None) == (index == 2)


def test_logits_that_are_not_numbers_fail_their_row_alone() -> None:
    runner = NotANumberRunner(slots=2)
    outputs = generate(runner, request("bad", (9, 9)), request("good", (1, 2)))
    assert outputs["bad"].finish is FinishReason.FAILED
    assert outputs["good"].finish is not FinishReason.FAILED
    assert outputs["good"] == generate(ScriptedRunner(slots=2), request("good", (1, 2)))["good"]


class NotANumberRunner(ScriptedRunner):
    """Decodes the row of slot 0 to nonsense."""

    def decode(self, first_slot, tokens, positions, best=None):  # type: ignore[no-untyped-def]
        logits = super().decode(first_slot, tokens, positions, best)
        if first_slot == 0:
            logits[0, 5] = float("nan")
        return logits


def test_a_broken_engine_fails_what_lives_and_refuses_the_rest() -> None:
    """A listener that raises stands for any bug on the engine's thread."""
    listener = BrokenListener()
    engine = make_engine(scripted("ABC"), listener)
    engine.start()
    engine.submit(request("a"))
    listener.until_ended("a")
    assert (listener.whole("a").text, listener.whole("a").finish) == ("A", FinishReason.FAILED)
    with pytest.raises(EngineStopped):
        engine.submit(request("b"))
    engine.close()
    assert engine.stats.failure is not None


class BrokenListener(Listener):
    """Raises at the first delivery, as if it had never come, and then works."""

    broken = True

    def deliver(self, outputs: Outputs, stats: EngineStats) -> None:
        if self.broken:
            self.broken = False
            raise RuntimeError("broken")
        super().deliver(outputs, stats)


def test_every_request_ends_exactly_once_whatever_fails() -> None:
    """Random failures of prompts, decode calls and moves, with aborts in between."""
    generator = random.Random(7)
    requests = random_requests(60, seed=3)
    runner = ScriptedRunner(slots=4, fail_at={number for number in range(2000) if generator.random() < 0.03})
    with running(runner) as (engine, listener):
        for each in requests:
            engine.submit(each)
            if generator.random() < 0.2:
                engine.abort(each.id)
        listener.until_ended(*(each.id for each in requests))
        last = listener.stats[-1]
    finishes = [listener.whole(each.id).finish for each in requests]
    assert {FinishReason.FAILED, FinishReason.LENGTH} <= set(finishes)
    assert (last.running, last.waiting, last.idle_slots) == (0, 0, 4)
