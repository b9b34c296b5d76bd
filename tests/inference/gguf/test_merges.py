"""Merges of a vocabulary that has none: those that scores give, as many as vocabularies have and not any number."""

from __future__ import annotations

import time

import pytest
from gguf import TokenType

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.tokenizer import build_tokenizer
from inference.gguf.vocabulary import Vocabulary

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))


def vocabulary(*tokens: str, kind: TokenType = TokenType.NORMAL) -> Vocabulary:
    """Bytes and these tokens, the first ones with the highest scores."""
    types = (int(TokenType.BYTE),) * 256 + (int(kind),) * len(tokens)
    scores = (0.0,) * 256 + tuple(-float(place) for place in range(len(tokens)))
    return Vocabulary("llama", "default", BYTES + tokens, types, scores=scores)


def test_a_run_as_long_as_any_vocabulary_has_is_merged() -> None:
    tokenizer = build_tokenizer(vocabulary(*("\u2581" * length for length in range(1, 301))))
    assert tokenizer.encode(" " * 300).tokens == ["\u2581" * 300]


def test_runs_of_any_length_are_refused_soon() -> None:
    began = time.thread_time()
    with pytest.raises(UnsupportedModelError, match="made of each other in more ways than are supported"):
        build_tokenizer(vocabulary(*("a" * length for length in range(1, 1000))))
    assert time.thread_time() - began < 2


def test_a_token_of_a_hundred_thousand_characters_is_refused_by_its_length() -> None:
    with pytest.raises(UnsupportedModelError, match="a token of 100000 characters; at most 1024 are supported"):
        build_tokenizer(vocabulary("a", "a" * 100_000))
