"""The engine on its thread: the same answers in any company, and exactly one last output for every request."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from inference.engine import Engine, Outputs
from inference.fakes import ScriptedRunner
from inference.options import EngineOptions
from inference.sampling.parameters import SamplingParams
from inference.types import (
    ContextLengthExceeded,
    EngineStats,
    EngineStopped,
    FinishReason,
    GenerationRequest,
    Output,
)
from tests.inference.engine_tools import GREEDY, SMALL_CHUNKS, HeldGate, Listener, generate, make_engine, request, spell


@contextmanager
def running(runner: ScriptedRunner, options: EngineOptions = SMALL_CHUNKS) -> Iterator[tuple[Engine, Listener]]:
    listener = Listener()
    engine = make_engine(runner, listener, options)
    engine.start()
    try:
        yield engine, listener
    finally:
        engine.close()


def scripted(text: str, **settings: object) -> ScriptedRunner:
    return ScriptedRunner(reply=lambda prompt: spell(text), **settings)  # type: ignore[arg-type]


def random_requests(count: int, seed: int) -> list[GenerationRequest]:
    """Some share beginnings, some are greedy, lengths and parameters differ."""
    generator = random.Random(seed)
    stems = [[generator.randrange(1, 64) for _ in range(20)] for _ in range(3)]
    requests = []
    for index in range(count):
        prompt = generator.choice(stems)[: generator.randrange(0, 20)]
        prompt = prompt + [generator.randrange(1, 64) for _ in range(generator.randrange(1, 25))]
        sampling = SamplingParams(
            temperature=generator.choice([0.0, 0.8, 1.0]),
            top_p=generator.choice([1.0, 0.9]),
            seed=index,
            presence_penalty=generator.choice([0.0, 0.5]),
            max_tokens=generator.randrange(1, 40),
            stop=generator.choice([(), ("A", "BC")]),
        )
        requests.append(request(f"r{index}", prompt, sampling))
    return requests


@pytest.mark.parametrize("slots", [1, 2, 5, 16])
def test_requests_in_company_get_the_answers_they_get_alone(slots: int) -> None:
    """The runner's logits depend on every cached token, so a wrong move, prefix or position would show."""
    requests = random_requests(40, seed=slots)
    alone: dict[str, Output] = {}
    for each in requests:
        alone |= generate(ScriptedRunner(slots=1), each)
    runner = ScriptedRunner(slots=slots)
    together = generate(runner, *requests)
    for name, output in together.items():
        assert replace(output, cached_tokens=0) == alone[name]
    names = {call[0] for call in runner.calls}
    assert names >= {"prefill", "decode"}
    if slots == 5:
        assert names == {"prefill", "decode", "swap", "copy"}, "every kind of move was tried"
        assert sum(output.cached_tokens for output in together.values()) > 0


DETERMINISTIC = replace(SMALL_CHUNKS, deterministic=True)


@pytest.mark.parametrize("slots", [2, 5, 16])
def test_deterministic_answers_are_those_of_a_full_house_also_where_lone_rows_differ(slots: int) -> None:
    requests = random_requests(40, seed=slots)

    def runner(slots: int) -> ScriptedRunner:
        return ScriptedRunner(slots=slots, decoding_differs=True, lone_rows_differ=True)

    together = generate(runner(slots), *requests, options=DETERMINISTIC)
    plain: dict[str, Output] = {}
    for each in requests:
        alone = generate(runner(2), each, options=DETERMINISTIC)[each.id]
        assert replace(together[each.id], cached_tokens=0) == alone
        plain |= generate(runner(2), each)
    assert any(plain[name].text != together[name].text for name in plain), "a lone row differs otherwise"


def test_a_companion_row_spoils_neither_a_kept_prefix_nor_a_prompt_that_is_read() -> None:
    """The only neighbour keeps a prompt, then reads one, while the lone sequence decodes."""
    kept, lone, beside = request("kept", range(1, 21)), request("lone", range(30, 40)), request("beside", range(1, 41))
    answers = {}
    for options in (SMALL_CHUNKS, DETERMINISTIC):
        with running(ScriptedRunner(slots=2), options) as (engine, listener):
            engine.submit(kept)
            listener.until_ended("kept")
            engine.submit(replace(lone, sampling=replace(GREEDY, max_tokens=30)))
            engine.submit(beside)
            listener.until_ended("lone", "beside")
            answers[options] = {name: listener.whole(name) for name in ("lone", "beside")}
    assert answers[DETERMINISTIC] == answers[SMALL_CHUNKS]
    assert answers[DETERMINISTIC]["beside"].cached_tokens == 20


def test_a_prefix_hit_does_not_change_the_answer() -> None:
    """Even where decoding leaves other traces: such positions are never reused."""
    first = request("first", range(1, 30), replace(GREEDY, max_tokens=12))
    with running(ScriptedRunner(slots=3, decoding_differs=True)) as (engine, listener):
        engine.submit(first)
        listener.until_ended("first")
        follow_up = request("next", [*first.prompt, *spell(listener.whole("first").text), 5, 6, 7])
        engine.submit(follow_up)
        listener.until_ended("next")
    cold = generate(ScriptedRunner(slots=3, decoding_differs=True), follow_up)
    hit = listener.whole("next")
    assert hit.cached_tokens == len(first.prompt), "decoded tokens are not reused"
    assert replace(hit, cached_tokens=0) == cold["next"]


def test_a_prompt_that_another_domain_asked_before_is_computed_anew() -> None:
    with running(ScriptedRunner()) as (engine, listener):
        for name, domain in (("one", "ann"), ("two", "bob"), ("three", "bob")):
            engine.submit(replace(request(name, range(1, 21)), domain=domain))
            listener.until_ended(name)
    assert [listener.whole(name).cached_tokens for name in ("one", "two", "three")] == [0, 0, 18]


def test_a_repeated_prompt_reuses_all_but_two_tokens() -> None:
    with running(ScriptedRunner()) as (engine, listener):
        for name in ("one", "two"):
            engine.submit(request(name, range(1, 21)))
            listener.until_ended(name)
    assert listener.whole("one").cached_tokens == 0
    assert listener.whole("two").cached_tokens == 18
    assert listener.whole("two").text == listener.whole("one").text
    assert listener.stats[-1].cached_tokens == 18


def test_an_end_token_ends_the_answer_and_counts_as_a_token() -> None:
    output = generate(scripted("HELLO"), request("r"))["r"]
    assert (output.text, output.tokens, output.finish) == ("HELLO", 6, FinishReason.STOP)


def test_max_tokens_ends_the_answer_with_length() -> None:
    output = generate(scripted("HELLO"), request("r", sampling=replace(GREEDY, max_tokens=3)))["r"]
    assert (output.text, output.tokens, output.finish) == ("HEL", 3, FinishReason.LENGTH)


def test_an_end_token_in_the_last_place_is_a_stop() -> None:
    output = generate(scripted("HELLO"), request("r", sampling=replace(GREEDY, max_tokens=6)))["r"]
    assert output.finish is FinishReason.STOP


def test_a_stop_text_ends_the_answer_before_it() -> None:
    output = generate(scripted("HELLO"), request("r", sampling=replace(GREEDY, stop=("LO", "X"))))["r"]
    assert (output.text, output.tokens, output.finish) == ("HEL", 5, FinishReason.STOP)


def test_no_output_shows_part_of_a_stop_text() -> None:
    with running(scripted("ABCABD")) as (engine, listener):
        engine.submit(request("r", sampling=replace(GREEDY, stop=("ABD",))))
        listener.until_ended("r")
    assert [output.text for output in listener.outputs["r"]] == ["", "", "ABC", "", "", ""]


def test_what_was_held_back_is_shown_when_the_answer_ends_otherwise() -> None:
    sampling = replace(GREEDY, stop=("LOX",), max_tokens=5)
    assert generate(scripted("HELLO"), request("r", sampling=sampling))["r"].text == "HELLO"
    assert generate(scripted("HELLO"), request("r", sampling=replace(sampling, max_tokens=9)))["r"].text == "HELLO"


def test_an_unfinished_character_ends_the_text_as_a_replacement_character() -> None:
    """Token 1 is the first byte of a character; its second byte never comes."""
    listener = Listener()
    engine = Engine(scripted("BA"), [b"", b"\xc3", b"B"] + [b""] * 61, frozenset({0}), listener.deliver)
    engine.start()
    engine.submit(request("r"))
    listener.until_ended("r")
    engine.close()
    assert [output.text for output in listener.outputs["r"]] == ["B", "", "\ufffd"]


@pytest.mark.parametrize("prompt_length", [1, 7, 14])
def test_a_full_slot_ends_the_answer_with_length(prompt_length: int) -> None:
    runner = ScriptedRunner(max_length=16, reply=lambda prompt: [1] * 99)
    output = generate(runner, request("r", range(1, prompt_length + 1), replace(GREEDY, max_tokens=99)))["r"]
    assert (output.tokens, output.finish) == (16 - prompt_length, FinishReason.LENGTH)


def test_a_prompt_that_leaves_no_room_is_refused_at_once() -> None:
    engine = make_engine(ScriptedRunner(max_length=16), Listener())
    with pytest.raises(ContextLengthExceeded) as refusal:
        engine.submit(request("r", range(15)))
    assert (refusal.value.prompt_tokens, refusal.value.limit) == (15, 14)


def test_an_abort_takes_effect_before_the_next_step() -> None:
    gate = HeldGate()
    with running(scripted("ABCDEFGH", slots=2, gate=gate)) as (engine, listener):
        for name in ("a", "b", "waits"):
            engine.submit(request(name))
        gate.let_through(3)  # a's prompt; b's prompt and a's row
        for _ in range(4):
            gate.wait_for_call()  # the fourth is the first decode call of both rows
        engine.abort("a")
        engine.abort("waits")
        engine.abort("never seen")
        gate.open()
        listener.until_ended("a", "b", "waits")
        engine.abort("a")
    assert listener.whole("a").finish is FinishReason.ABORTED
    assert listener.whole("a").text == "ABC"
    assert listener.whole("waits") == listener.outputs["waits"][0]
    assert listener.whole("waits").finish is FinishReason.ABORTED
    assert listener.whole("b").text == "ABCDEFGH"


def test_an_abort_during_the_prompt_frees_the_slot() -> None:
    gate = HeldGate()
    with running(ScriptedRunner(slots=1, gate=gate)) as (engine, listener):
        engine.submit(request("long", range(1, 40)))
        gate.wait_for_call()
        engine.submit(request("next", range(40, 50)))
        engine.abort("long")
        gate.open()
        listener.until_ended("long", "next")
    assert listener.whole("long").tokens == 0
    assert listener.whole("next").finish is not FinishReason.ABORTED


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


class FailingCopy(ScriptedRunner):
    """No copy ever succeeds."""

    def copy(self, source: int, target: int, length: int) -> None:
        raise RuntimeError("scripted failure of a copy")


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


def test_closing_ends_what_lives_with_stopped_and_closes_the_runner() -> None:
    gate = HeldGate()
    runner = scripted("ABCDEFGH", slots=2, gate=gate)
    listener = Listener()
    engine = make_engine(runner, listener)
    engine.start()
    for name in ("a", "b", "c"):
        engine.submit(request(name))
    gate.wait_for_call()
    engine.stop()
    gate.open()
    engine.close()
    engine.close()
    listener.until_ended("a", "b", "c")
    assert {name: (listener.whole(name).text, listener.whole(name).finish) for name in ("a", "b", "c")} == {
        "a": ("A", FinishReason.STOPPED),
        "b": ("", FinishReason.STOPPED),
        "c": ("", FinishReason.STOPPED),
    }
    assert runner.closed
    assert listener.stats[-1].failure is not None
    with pytest.raises(EngineStopped):
        engine.submit(request("late"))


def test_closing_an_engine_that_never_started_ends_what_waits() -> None:
    listener = Listener()
    engine = make_engine(ScriptedRunner(), listener)
    engine.submit(request("a"))
    engine.close()
    listener.until_ended("a")
    assert listener.whole("a").finish is FinishReason.STOPPED


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


def test_stats_count_what_was_done() -> None:
    with running(scripted("AB", slots=2)) as (engine, listener):
        engine.submit(request("a", range(1, 12)))
        listener.until_ended("a")
    stats = listener.stats[-1]
    assert (stats.prefill_tokens, stats.decode_calls, stats.decode_tokens, stats.steps) == (11, 2, 2, 4)
    assert stats.prefill_seconds > 0
    assert stats.decode_seconds > 0
    assert (stats.running, stats.waiting, stats.idle_slots) == (0, 0, 2)
