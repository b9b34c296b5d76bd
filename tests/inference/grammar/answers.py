"""Answers drawn from random logits: what a model may say that has learned nothing but the grammar."""

from __future__ import annotations

import numpy as np

from inference.constraint import Constraint
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import Grammar
from inference.grammar.vocabulary import Vocabulary
from inference.sampling.parameters import SamplingParams
from inference.sampling.sampler import NOT_A_NUMBER, Sampler
from inference.sampling.state import SamplerState
from inference.tokenizer import Tokenizer
from tests.inference.allowed_tokens import allowed_tokens
from tests.inference.tiny_tokenizer import CONTROL, tiny_tokenizer

TOKENIZER = Tokenizer(tiny_tokenizer())
TOKEN_BYTES = TOKENIZER.token_bytes()
END = CONTROL["<|im_end|>"]
VOCABULARY = Vocabulary.of(TOKEN_BYTES, TOKENIZER.special_tokens, frozenset({END}))
SAMPLER = Sampler.of(len(TOKEN_BYTES))
# Brackets, quotes and end tokens are likelier than they are among 261 equals, so that most answers end.
_CLOSING = np.array([3.0 * (token in b'"}]' and len(token) == 1) for token in TOKEN_BYTES], np.float32)
_CLOSING[END] = 3.0


def answer(
    constraint: Constraint, seed: int, temperature: float = 1.0, longest: int = 2000, tokens: list[bytes] = TOKEN_BYTES
) -> str | None:
    """The text of an answer, or None if it does not end within the longest. Fails where no token may follow."""
    generator = np.random.default_rng(seed)
    state = SamplerState(SamplingParams(temperature=temperature, seed=seed), constraint=constraint)
    text = b""
    for _ in range(longest):
        logits = generator.standard_normal((1, len(TOKEN_BYTES)), dtype=np.float32) * 2 + _CLOSING
        [sampled] = SAMPLER.sample(logits, [state])
        assert sampled.token != NOT_A_NUMBER, f"nothing may follow {text!r}"
        text += tokens[sampled.token]
        if sampled.token == END or state.finished:
            return text.decode()
    return None


def follow(constraint: Constraint, text: str) -> None:
    """Go on with the tokens of a text, each of which must be allowed."""
    for token in TOKENIZER.encode([(text, False)]):
        assert token in allowed(constraint), f"{TOKEN_BYTES[token]!r} may not follow"
        constraint.accept(token)


def allowed(constraint: Constraint) -> set[int]:
    return allowed_tokens(constraint, len(TOKEN_BYTES))


def takes(compiler: GrammarCompiler, grammar: Grammar, text: str) -> bool:
    """Whether the text is an answer that keeps to the grammar."""
    constraint = compiler.compile(grammar)
    for byte in text.encode():  # byte by byte, so that no split of the text into tokens matters
        token = TOKEN_BYTES.index(bytes([byte]))
        if constraint.finished:
            return False
        constraint.accept(token)
        if not allowed(constraint):
            return False
    return constraint.finished or END in allowed(constraint)
