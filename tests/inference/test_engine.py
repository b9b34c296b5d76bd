"""The engine on its thread: the same answers in any company, and exactly one last output for every request."""

from dataclasses import replace

import pytest

from inference.fakes import ScriptedRunner
from inference.types import (
    EngineStopped,
    FinishReason,
    Output,
)
from tests.inference.engine_tools import (
    GREEDY,
    SMALL_CHUNKS,
    HeldGate,
    Listener,
    generate,
    make_engine,
    random_requests,
    request,
    running,
    scripted,
    spell,
)


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


def test_stats_count_what_was_done() -> None:
    with running(scripted("AB", slots=2)) as (engine, listener):
        engine.submit(request("a", range(1, 12)))
        listener.until_ended("a")
    stats = listener.stats[-1]
    assert (stats.prefill_tokens, stats.decode_calls, stats.decode_tokens, stats.steps) == (11, 2, 2, 4)
    assert stats.prefill_seconds > 0
    assert stats.decode_seconds > 0
    assert (stats.running, stats.waiting, stats.idle_slots) == (0, 0, 2)


def test_a_long_prompt_says_when_it_has_begun_and_a_short_one_when_it_speaks() -> None:
    gate = HeldGate()
    with running(ScriptedRunner(gate=gate)) as (engine, listener):
        engine.submit(request("long", prompt=tuple(range(1, 40))))
        gate.let_through(1)
        listener.take()
        assert listener.outputs == {"long": [Output("", 0, 0, None)]}
        gate.open()
        listener.until_ended("long")
        engine.submit(request("short", prompt=(1, 2)))
        listener.until_ended("short")
        assert all(output.tokens for output in [*listener.outputs["long"][1:], *listener.outputs["short"]])
