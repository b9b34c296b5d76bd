"""From an answer's text to pieces: whatever the cuts, the same pieces, and nothing of the words is lost."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.output.parser import HEAD, OutputParser
from service.output.pieces import CallArguments, CallBegin, CallEnd, Piece, Text, Thought, merged

CALL = '<tool_call>\n{"name": "add", "arguments": {"a": [1, "}"]}}\n</tool_call>'
CALLED: list[Piece] = [CallBegin("add"), CallArguments('{"a": [1, "}"]}'), CallEnd()]
# Whatever can matter to the parser, and things beside it.
FRAGMENTS = [
    *(
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "\n",
        " ",
        "<",
        "</",
        "<tool",
        "think>",
        "x",
        "é",
        "{",
        "}",
    ),
    *('\n{"name": "add", "arguments": {', '{"name": "sub", "arguments": {', '"', "\\", CALL),
]

CALLS = r"(\s*<tool_call>\n\{.name.: .add., .arguments.: \{.*)?\s*"
# What may be left out at the end.
CUT_OFF = re.compile(
    rf"\s*<tool_call>({'|'.join(re.escape((HEAD % 'add')[:n]) for n in range(len(HEAD % 'add') + 1))})$"
)
# What may be left out: before anything else a thought, then calls. By whether the answer begins within a thought.
FRAMES = {
    False: re.compile(rf"(\s*<think>.*|\s*<think>.*</think>)?{CALLS}", re.DOTALL),
    True: re.compile(rf"(.*|.*</think>){CALLS}", re.DOTALL),
}


def parsed(*deltas: str, functions: tuple[str, ...] = ("add",), in_thought: bool = False) -> list[Piece]:
    parser = OutputParser(functions, in_thought=in_thought)
    pieces = [piece for delta in deltas for piece in parser.push(delta)]
    return merged([*pieces, *parser.flush()])


def test_plain_words_pass_at_once() -> None:
    parser = OutputParser()
    assert parser.push("Hello ") == [Text("Hello ", 0)]
    assert parser.push("<tool_call> \n") == [Text("<tool_call> \n", 6)]
    assert parser.flush() == []


def test_a_thought_comes_before_the_words() -> None:
    assert parsed("<think>\nI see.\n</think>\n\nYes.") == [Thought("I see."), Text("Yes.", 25)]


def test_a_thought_that_the_prompt_began_ends_with_its_tag() -> None:
    assert parsed("\nI see.\n</think>\n\nYes.", in_thought=True) == [Thought("I see."), Text("Yes.", 18)]


def test_an_empty_thought_is_none() -> None:
    assert parsed("<think>\n\n</think>\n\nYes.") == [Text("Yes.", 19)]


def test_a_thought_is_told_as_it_comes() -> None:
    parser = OutputParser()
    assert parser.push("<think>") == []
    assert parser.push("I see") == [Thought("I see")]
    assert parser.push(" it. ") == [Thought(" it.")]
    assert parser.thought_end is None
    assert parser.push("</think>") == []
    assert parser.thought_end == len("<think>I see it. </think>")


def test_the_tag_of_a_thought_within_words_is_text() -> None:
    assert parsed("Say <think>so</think>.") == [Text("Say <think>so</think>.", 0)]


def test_a_thought_may_speak_of_calls() -> None:
    assert parsed(f"<think>{CALL}</think>no") == [Thought(CALL), Text("no", len(CALL) + 15)]


def test_words_may_come_before_calls_and_calls_follow_each_other() -> None:
    assert parsed(f"Wait.\n{CALL}\n{CALL}\n") == [Text("Wait.", 0), *CALLED, *CALLED]


def test_words_behind_a_call_are_words() -> None:
    assert parsed(f"{CALL}\n\nDone.") == [*CALLED, Text("Done.", len(CALL) + 2)]


def test_arguments_are_told_as_they_come() -> None:
    parser = OutputParser(["add"])
    assert parser.push('<tool_call>\n{"name": "add", "arguments": ') == []
    assert parser.push('{"a"') == [CallBegin("add"), CallArguments('{"a"')]
    assert parser.push(": 1") == [CallArguments(": 1")]
    assert parser.push("}") == [CallArguments("}"), CallEnd()]
    assert parser.push("}\n</tool_call>") == parser.flush() == []


@pytest.mark.parametrize(
    "said",
    [
        '<tool_call>\n{"name": "sub", "arguments": {}}\n</tool_call>',
        '<tool_call>\n{"name": "add", "arguments": []}\n</tool_call>',
        '<tool_call>{"arguments": {}}</tool_call>',
        '<tool_call>{"name": "add", "arguments": {}}</tool_call>',
        "<tool_call> add </tool_call>",
        "\n <tool_call><tool_call>.",
        "<tool_c",
        "</tool_call>",
        "  \n",
    ],
)
def test_what_is_no_call_is_text(said: str) -> None:
    assert parsed(said) == [Text(said, 0)]
    assert parsed(f"So:{said}") == [Text(f"So:{said}", 0)]


def test_a_call_after_what_is_none_is_a_call() -> None:
    assert parsed(f"<tool_call>no\n{CALL}") == [Text("<tool_call>no", 0), *CALLED]


def test_a_call_that_is_cut_off_keeps_its_arguments() -> None:
    cut = '<tool_call>\n{"name": "add", "arguments": {"a": [1'
    assert parsed(cut) == [CallBegin("add"), CallArguments('{"a": [1')]


@pytest.mark.parametrize("length", range(len(HEAD % "add") + 1))
def test_a_call_that_is_cut_off_before_its_arguments_is_left_out(length: int) -> None:
    cut = CALL[: len("<tool_call>") + length]
    assert parsed(cut) == []
    assert parsed(f"Wait.\n{cut}") == [Text("Wait.", 0)]
    assert parsed(f"{CALL}\n{cut}") == CALLED


def test_a_call_whose_frame_is_cut_off_is_whole() -> None:
    assert parsed(CALL.removesuffix("\n</tool_call>")) == CALLED


def test_braces_and_quotes_in_strings_end_nothing() -> None:
    arguments = json.dumps({"a": '"}{\\', "b": {"c": ["]"]}})
    said = f'<tool_call>\n{{"name": "add", "arguments": {arguments}}}\n</tool_call>'
    assert parsed(*said) == [CallBegin("add"), CallArguments(arguments), CallEnd()]


@given(st.lists(st.sampled_from(FRAGMENTS)), st.data(), st.booleans(), st.booleans())
def test_the_cuts_do_not_matter(fragments: list[str], data: st.DataObject, calls: bool, in_thought: bool) -> None:
    said = "".join(fragments)
    functions = ("add",) if calls else ()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(said)))))
    deltas = [said[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    whole = parsed(said, functions=functions, in_thought=in_thought)
    assert parsed(*deltas, functions=functions, in_thought=in_thought) == whole
    assert parsed(*said, functions=functions, in_thought=in_thought) == whole


@given(st.lists(st.sampled_from(FRAGMENTS)), st.booleans())
def test_only_tags_and_what_they_frame_are_no_text(fragments: list[str], in_thought: bool) -> None:
    said = "".join(fragments)
    place, begun = 0, in_thought
    for piece in [*parsed(said, in_thought=in_thought), Text("", len(said))]:
        if isinstance(piece, Text):
            left_out = said[place : piece.start]
            if piece.start == len(said):
                left_out = CUT_OFF.sub("", left_out)
            assert FRAMES[begun].fullmatch(left_out), f"{left_out!r} is lost"
            assert said.startswith(piece.text, piece.start)
            place, begun = piece.start + len(piece.text), False
