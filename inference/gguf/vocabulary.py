"""The vocabulary of a GGUF file as it stands there. Knows the tokenizer's keys, not how text becomes tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gguf import GGUFReader, ReaderField, TokenType

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.metadata import Metadata
from inference.types import ModelFileError

_PREFIX = "tokenizer.ggml."
# Files do not say whether control tokens take white space, so llama.cpp goes by the model's name (llama-vocab.cpp).
_RSTRIP_NAMES = ("phi-3", "phi3")
_ENDS = ("eos_token_id", "eot_token_id", "eom_token_id")
# Tokens that are searched for in every text, how long one may be, and how many characters all of them may have. Models
# of speech have tens of thousands of them, of 700,000 characters; what searches takes a hundred bytes for each.
_SEARCHED = (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)
_LONGEST_SEARCHED, _MOST_SEARCHED = 1 << 8, 1 << 20


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about its tokenizer; a token's index is its id.

    model: `gpt2` is byte-level BPE, `llama` is SentencePiece's.  pre: the name of the pre-tokenizer.
    types: `gguf.TokenType` values, one a token.  merges: best first, the two halves divided by a space.
    scores: one a token, the highest merges first.  add_space_prefix: a text begins as if after a space.
    unknown: the token for what no token stands for, if there is one.  ends: the declared ends of a text, a turn and a
    message.  rstrip: a control token takes the white space behind it.
    """

    model: str
    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()
    add_space_prefix: bool = False
    unknown: int | None = None
    ends: tuple[int, ...] = ()
    rstrip: bool = False


def read_vocabulary(reader: GGUFReader) -> Vocabulary:
    """Take the vocabulary out of an open GGUF file (0.1 s for 49152 tokens).

    Raises UnsupportedModelError if the file lacks one of the keys or has too many special tokens, ModelFileError if
    keys contradict each other.
    """
    fields = _Fields(reader)
    model = fields.text("model")
    is_sentencepiece = model == "llama"
    tokens = fields.texts("tokens")
    vocabulary = Vocabulary(
        model=model,
        pre=fields.text("pre", "default"),
        tokens=tokens,
        types=tuple(int(kind) for kind in fields.numbers("token_type", [int(TokenType.NORMAL)] * len(tokens))),
        merges=() if is_sentencepiece else fields.texts("merges"),
        scores=tuple(float(score) for score in fields.numbers("scores")) if is_sentencepiece else (),
        add_space_prefix=fields.flag("add_space_prefix", is_sentencepiece),
        unknown=fields.token("unknown_token_id", len(tokens)),
        ends=tuple(end for key in _ENDS if (end := fields.token(key, len(tokens))) is not None),
        rstrip=any(name in (Metadata(reader).get("general.name", str) or "").lower() for name in _RSTRIP_NAMES),
    )
    _check(vocabulary, is_sentencepiece)
    return vocabulary


def _check(vocabulary: Vocabulary, is_sentencepiece: bool) -> None:
    tokens = vocabulary.tokens
    for what, values in (("types", vocabulary.types), ("scores", vocabulary.scores)):
        if len(values) != len(tokens) and (values or what == "types" or is_sentencepiece):
            raise ModelFileError(f"The GGUF file has {len(tokens)} tokens, but {len(values)} {what} of tokens.")
    if not all(map(math.isfinite, vocabulary.scores)):
        raise ModelFileError("The GGUF file has scores of tokens that are not numbers.")
    searched = [len(token) for token, kind in zip(tokens, vocabulary.types, strict=True) if kind in _SEARCHED]
    if max(searched, default=0) > _LONGEST_SEARCHED or sum(searched) > _MOST_SEARCHED:
        raise UnsupportedModelError(
            f"The tokenizer's special and user-defined tokens have up to {max(searched)} characters and"
            f" {sum(searched)} together; at most {_LONGEST_SEARCHED} and {_MOST_SEARCHED} are supported."
        )


class _Fields:
    """The values under `tokenizer.ggml.`, each of the type that is asked for."""

    def __init__(self, reader: GGUFReader) -> None:
        self._reader = reader

    def _need(self, key: str) -> ReaderField:
        field = self._reader.get_field(_PREFIX + key)
        if field is None:
            raise UnsupportedModelError(
                f"The GGUF file has no {_PREFIX}{key}, so it has no tokenizer that can be read."
            )
        return field

    def _wrong(self, key: str) -> ModelFileError:
        return ModelFileError(f"The GGUF file's key {_PREFIX}{key} has a value of the wrong type.")

    def _value(self, key: str) -> Any:
        try:
            return self._need(key).contents()
        except ValueError as error:
            raise self._wrong(key) from error

    def text(self, key: str, default: str | None = None) -> str:
        if default is not None and self._reader.get_field(_PREFIX + key) is None:
            return default
        value = self._value(key)
        if not isinstance(value, str):
            raise self._wrong(key)
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(key)
        return tuple(value)

    def numbers(self, key: str, default: Sequence[float] | None = None) -> Sequence[float]:
        if default is not None and self._reader.get_field(_PREFIX + key) is None:
            return default
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(item, int | float) for item in value):
            raise self._wrong(key)
        return value

    def flag(self, key: str, default: bool) -> bool:
        if self._reader.get_field(_PREFIX + key) is None:
            return default
        value = self._value(key)
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def token(self, key: str, count: int) -> int | None:
        if self._reader.get_field(_PREFIX + key) is None:
            return None
        value = self._value(key)
        return value if isinstance(value, int) and 0 <= value < count else None
