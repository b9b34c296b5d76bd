"""An answer is free until it has said a tag, and from its next token on held to something else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.after_tag import AfterTag, overshoot
from inference.bitmask import Bitmask, only
from inference.runner import Logits
from tests.inference.allowed_tokens import allowed_tokens

TAG, THOUGHT = "<call>", ("<think>", "</think>")
# Each is one token; some would say the end of the tag and more.
TOKENS = ["<", "<call", "call", ">", ">x", "l>\n", "<call>", "<call>!", "a", " ", "<think>", "</think>", "th", "ink>"]
TOKEN_BYTES = [text.encode() for text in TOKENS]
OVER = overshoot(TOKEN_BYTES, TAG.encode())


class Inner:
    """Forbids everything, and ends after two tokens."""

    def __init__(self) -> None:
        self.tokens: list[int] = []

    @property
    def finished(self) -> bool:
        return len(self.tokens) == 2

    def allows(self, token: int) -> bool:
        return False

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), [])

    def forced(self) -> Sequence[int]:
        return (5,)

    def accept(self, token: int) -> None:
        self.tokens.append(token)


def constrained(*, in_thought: bool = False) -> tuple[AfterTag, Inner]:
    inner = Inner()
    return AfterTag(inner, TAG, OVER, TOKEN_BYTES, THOUGHT, in_thought=in_thought), inner


def allowed(constraint: AfterTag) -> list[str]:
    tokens = allowed_tokens(constraint, len(TOKENS))
    return [TOKENS[token] for token in sorted(tokens)]


def say(constraint: AfterTag, *texts: str) -> None:
    for text in texts:
        constraint.accept(TOKENS.index(text))


@pytest.mark.parametrize(
    "texts", [["<call>"], ["<call", ">"], ["a", "<", "call", ">"], ["<", "<call>"], [" ", "<call>"]]
)
def test_the_other_constraint_holds_from_the_token_after_the_tag(texts: list[str]) -> None:
    constraint, inner = constrained()
    say(constraint, *texts[:-1])
    assert ">" in allowed(constraint)
    assert not constraint.forced()
    say(constraint, texts[-1])
    assert allowed(constraint) == []
    assert constraint.forced() == (5,)
    say(constraint, "a", "a")
    assert inner.tokens == [TOKENS.index("a")] * 2
    assert constraint.finished


def test_words_are_free_but_for_tokens_that_say_the_tag_and_more() -> None:
    constraint, _ = constrained()
    assert set(TOKENS) - set(allowed(constraint)) == {"<call>!"}
    say(constraint, "a", "<", "call")
    assert set(TOKENS) - set(allowed(constraint)) == {"<call>!", ">x"}
    say(constraint, "a")
    assert set(TOKENS) - set(allowed(constraint)) == {"<call>!"}
    assert not constraint.finished


def test_a_tag_within_a_thought_is_words() -> None:
    constraint, inner = constrained()
    say(constraint, " ", "<", "th", "ink>", "<call>", "a")
    assert allowed(constraint) == TOKENS
    say(constraint, "</think>", "<call>", "a")
    assert inner.tokens


def test_a_thought_that_the_prompt_began_is_one() -> None:
    constraint, inner = constrained(in_thought=True)
    say(constraint, "<call>", "a", "</think>")
    assert not inner.tokens
    say(constraint, "<call>", "a")
    assert inner.tokens


def test_a_thought_can_only_begin_an_answer() -> None:
    constraint, inner = constrained()
    say(constraint, "a", "<think>", "<call>", "a")
    assert inner.tokens


@given(st.lists(st.sampled_from(TOKENS)), st.booleans())
def test_it_begins_where_the_whole_text_first_has_the_tag(texts: list[str], in_thought: bool) -> None:
    constraint, inner = constrained(in_thought=in_thought)
    said = ""
    for text in texts:
        if text in allowed(constraint):
            say(constraint, text)
            said += text
    words = said
    if in_thought or said.lstrip().startswith("<think>"):
        _, _, words = said.partition("</think>")
    assert not inner.tokens
    assert (allowed(constraint) == []) == words.endswith(TAG)
    assert TAG not in words[:-1]
