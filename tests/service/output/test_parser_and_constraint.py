"""The parser takes for a call what a constraint holds to a grammar, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inference.after_tag import AfterTag, overshoot
from inference.bitmask import Bitmask, only
from inference.runner import Logits
from service.output.parser import CALL, HEAD, THINK, THOUGHT, OutputParser
from service.output.pieces import CallBegin
from tests.inference.allowed_tokens import allowed_tokens

# Each is one token.
TOKENS = [
    *("<", "<tool_call", "_call>", ">", ">x", "<tool_call>", "<tool_call>x", "a", " ", "\n", "\u00a0", "\u3000"),
    *("<think>", "</think>", "<th", "ink>"),
]
TOKEN_BYTES = [text.encode() for text in TOKENS]
OVER = overshoot(TOKEN_BYTES, CALL.encode())


class Nothing:
    """A grammar without an answer."""

    finished = False

    def allows(self, token: int) -> bool:
        return False

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), [])

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        pytest.fail("no token was allowed")


def allowed(constraint: AfterTag) -> list[bool]:
    """Of each token whether it may come next."""
    tokens = allowed_tokens(constraint, len(TOKENS))
    return [token in tokens for token in range(len(TOKENS))]


@given(st.lists(st.sampled_from(range(len(TOKENS)))), st.booleans())
@example([TOKENS.index(text) for text in ("\u00a0", "<think>", "<tool_call>")], False)
def test_a_call_begins_for_the_parser_where_its_grammar_does(tokens: list[int], in_thought: bool) -> None:
    constraint = AfterTag(Nothing(), CALL, OVER, TOKEN_BYTES, (THINK, THOUGHT), in_thought=in_thought)
    parser = OutputParser(["add"], in_thought=in_thought)
    for token in tokens:
        if allowed(constraint)[token]:
            constraint.accept(token)
            parser.push(TOKENS[token])
    pieces = parser.push(HEAD % "add" + "{")
    assert any(isinstance(piece, CallBegin) for piece in pieces) == (not any(allowed(constraint)))
