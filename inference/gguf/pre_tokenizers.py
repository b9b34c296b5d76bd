"""How byte-level vocabularies divide a text before merging, by the name that a GGUF file has for it.

The expressions are those of the models' published tokenizers. Knows no vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tokenizers import Regex, pre_tokenizers
from tokenizers.pre_tokenizers import PreTokenizer


@dataclass(frozen=True)
class PreTokenization:
    """whole_words: a word that is a token needs no merges. composed: characters are composed first (NFC)."""

    build: Callable[[], PreTokenizer]
    whole_words: bool = False
    composed: bool = False


def _split(*patterns: str) -> Callable[[], PreTokenizer]:
    def build() -> PreTokenizer:
        splits: list[PreTokenizer] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
        return pre_tokenizers.Sequence([*splits, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])

    return build


def _gpt2() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _smollm() -> PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()])


_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"


def _llama3(digits: str) -> str:
    return rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*" + _SPACES


def _by_case(ending: str, digits: str) -> str:
    """Words divide where a lower-case letter meets an upper-case one."""
    before = r"[^\r\n\p{L}\p{N}]?"
    words = f"{before}{_UPPER}*{_LOWER}+{ending}|{before}{_UPPER}+{_LOWER}*{ending}"
    return rf"{words}|\p{{N}}{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*" + _SPACES


_LLAMA3 = PreTokenization(_split(_llama3("{1,3}")), whole_words=True)

PRE_TOKENIZATIONS: Mapping[str, PreTokenization] = MappingProxyType(
    {
        "default": PreTokenization(_split(r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
        "gpt-2": PreTokenization(_gpt2),
        "smollm": PreTokenization(_smollm),
        "llama-bpe": _LLAMA3,
        "llama3": _LLAMA3,
        "llama-v3": _LLAMA3,
        "smaug-bpe": PreTokenization(_split(_llama3("{1,3}"))),
        # Qwen2 was trained on composed characters, so its published tokenizer composes them first.
        "qwen2": PreTokenization(_split(_llama3("")), composed=True),
        "tekken": PreTokenization(_split(_by_case("", "")), whole_words=True),
        "gpt-4o": PreTokenization(_split(_by_case(f"{_ENDINGS}?", "{1,3}"))),
    }
)
