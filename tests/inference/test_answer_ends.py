"""How an answer of the engine ends: end tokens, budgets, stop texts and full slots."""

from dataclasses import replace

import pytest

from inference.engine import Engine
from inference.fakes import ScriptedRunner
from inference.types import (
    ContextLengthExceeded,
    FinishReason,
)
from tests.inference.engine_tools import GREEDY, Listener, generate, make_engine, request, running, scripted


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
