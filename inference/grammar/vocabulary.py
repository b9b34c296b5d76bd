"""A model's tokens as llguidance wants them. It knows no grammars."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from llguidance import LLTokenizer, TokenizerWrapper

Split: TypeAlias = Callable[[str], Sequence[int]]
"""From a text, in which special tokens are recognised, to its tokens."""


@dataclass(frozen=True)
class Vocabulary:
    """tokens: what each id adds to the text, or for a special token its name. special: the ids of special tokens.
    ends: ids that end an answer, at least one; a grammar cannot name them.
    """

    tokens: tuple[bytes, ...]
    special: frozenset[int]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, token_bytes: Sequence[bytes], special_tokens: Mapping[str, int], ends: frozenset[int]) -> Vocabulary:
        # A special token that adds text is like any other: a grammar has its characters.
        special = {index: name for name, index in special_tokens.items() if index in ends or not token_bytes[index]}
        names = {index: name.encode() for index, name in special.items() if index not in ends}
        # No UTF-8 has this byte, with which llguidance marks special tokens.
        plain = (b"" if b"\xff" in spelled else spelled for spelled in token_bytes)
        tokens = tuple(names.get(index, spelled) for index, spelled in enumerate(plain))
        return cls(tokens, frozenset(special) | ends, tuple(sorted(ends)))

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        document = json.loads(text)
        tokens = tuple(token.encode("latin-1") for token in document["tokens"])
        return cls(tokens, frozenset(document["special"]), tuple(document["ends"]))

    def to_json(self) -> str:
        tokens = [token.decode("latin-1") for token in self.tokens]
        return json.dumps({"tokens": tokens, "special": sorted(self.special), "ends": self.ends})

    def build(self) -> LLTokenizer:
        """A tokenizer that lives as long as the process. Takes 0.2 s for 49152 tokens and keeps the interpreter lock
        meanwhile."""
        return TokenizerSource(self).build()


class TokenizerSource:
    """The attributes that llguidance reads, and how it splits text that a grammar leaves no choice about.

    split: as the model's tokenizer does it; without one, the longest token that fits comes first.
    """

    def __init__(self, vocabulary: Vocabulary, split: Split | None = None) -> None:
        self.tokens = list(vocabulary.tokens)
        self.special_token_ids = sorted(vocabulary.special)
        self.eos_token_id = vocabulary.ends[0]
        self.bos_token_id = None
        self.tokenizer: LLTokenizer | None = None
        self._special, self._split, self._ends = vocabulary.special, split, list(vocabulary.ends)

    def build(self) -> LLTokenizer:
        """The tokenizer, which holds this source, as this holds it, in a circle that no collector sees: `close` it."""
        self.tokenizer = LLTokenizer(TokenizerWrapper(self), eos_token=self._ends)
        return self.tokenizer

    def close(self) -> None:
        """Let go of the tokenizers; text is not split any more."""
        self.tokenizer = self._split = None

    def __call__(self, text: bytes) -> list[int]:
        if self.tokenizer is None:
            return []
        if self._split is not None:
            tokens = list(self._split(text.decode()))
            # A tokenizer may write text in another form, or put a space before it; and a text that reads like a special
            # token is none to a grammar.
            said = b"".join(self.tokens[token] for token in tokens)
            if said == text and self._special.isdisjoint(tokens):
                return tokens
        return self.tokenizer.greedy_tokenize(text.decode())
