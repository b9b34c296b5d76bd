"""The vocabulary of a GGUF file as a Hugging Face `tokenizer.json`.

Knows the metadata keys `tokenizer.ggml.*` and which pre-tokenizer each `pre` name stands for.
Does not know the model's weights, the chat template, or who reads the file it writes.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gguf import GGUFReader, ReaderField, TokenType
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import PreTokenizer

from inference.gguf.errors import UnsupportedModelError


@dataclass(frozen=True)
class Vocabulary:
    """What a GGUF file says about its tokenizer; a token's index is its id.

    model: `gpt2` is byte-level BPE.  pre: the name of the pre-tokenizer.
    types: `gguf.TokenType` values, one a token.  merges: best first, the two halves divided by a space.
    """

    model: str
    pre: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    merges: tuple[str, ...]


def write_tokenizer(reader: GGUFReader, path: Path) -> None:
    """Write the tokenizer of an open GGUF file to `path` as a `tokenizer.json`.

    Raises UnsupportedModelError for a tokenizer model or pre-tokenizer that is not known exactly.
    """
    build_tokenizer(read_vocabulary(reader)).save(str(path), pretty=False)


def read_vocabulary(reader: GGUFReader) -> Vocabulary:
    """Take the vocabulary out of an open GGUF file (0.1 s for 49152 tokens).

    Raises UnsupportedModelError if the file lacks one of the keys.
    """
    tokens = tuple(_strings(reader, "tokenizer.ggml.tokens"))
    types = reader.get_field("tokenizer.ggml.token_type")
    return Vocabulary(
        model=_string(reader, "tokenizer.ggml.model"),
        pre=_string(reader, "tokenizer.ggml.pre", "default"),
        tokens=tokens,
        types=tuple(_integers(types)) if types else (int(TokenType.NORMAL),) * len(tokens),
        merges=tuple(_strings(reader, "tokenizer.ggml.merges")),
    )


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer of a vocabulary, with ids and splits equal to llama.cpp's.

    Raises UnsupportedModelError for a tokenizer model or pre-tokenizer that is not known exactly.
    """
    build = _MODELS.get(vocabulary.model)
    if build is None:
        raise UnsupportedModelError(_unknown("tokenizer model", vocabulary.model, _MODELS))
    tokenizer = build(vocabulary)
    _add_tokens(tokenizer, vocabulary)
    return tokenizer


def _byte_level_bpe(vocabulary: Vocabulary) -> Tokenizer:
    pre = _PRE_TOKENIZERS.get(vocabulary.pre)
    if pre is None:
        raise UnsupportedModelError(_unknown("pre-tokenizer", vocabulary.pre, _PRE_TOKENIZERS))
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    # A half may itself begin with a space, so the search for the dividing one starts behind the first character.
    cuts = ((merge, merge.find(" ", 1)) for merge in vocabulary.merges)
    merges = [(merge[:cut], merge[cut + 1 :]) for merge, cut in cuts]
    try:
        model = BPE(vocab=ids, merges=merges, ignore_merges=pre.whole_words)
    except Exception as error:  # tokenizers raises bare Exception
        raise UnsupportedModelError(f"The tokenizer's merges do not fit its tokens: {error}.") from error
    tokenizer = Tokenizer(model)
    if pre.nfc:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.build()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _add_tokens(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    kinds = tuple(zip(vocabulary.tokens, vocabulary.types, strict=True))
    control = [token for token, kind in kinds if kind == TokenType.CONTROL]
    defined = [token for token, kind in kinds if kind == TokenType.USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in control])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in defined])


@dataclass(frozen=True)
class _PreTokenizer:
    build: Callable[[], PreTokenizer]
    whole_words: bool = False  # a word that is a token needs no merges
    nfc: bool = False


def _split(*patterns: str) -> PreTokenizer:
    splits: list[PreTokenizer] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in patterns]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, byte_level])


def _gpt2() -> PreTokenizer:
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def _smollm() -> PreTokenizer:
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), _gpt2()])


_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)

_PRE_TOKENIZERS = {
    "default": _PreTokenizer(lambda: _split(r"[\p{P}\$\+<=>\^~\|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]")),
    "gpt-2": _PreTokenizer(_gpt2),
    "smollm": _PreTokenizer(_smollm),
    "llama-bpe": _PreTokenizer(lambda: _split(_LLAMA3.replace("{DIGITS}", "{1,3}")), whole_words=True),
    # Qwen2 was trained on composed characters, so its published tokenizer composes them first.
    "qwen2": _PreTokenizer(lambda: _split(_LLAMA3.replace("{DIGITS}", "")), nfc=True),
}

_MODELS: dict[str, Callable[[Vocabulary], Tokenizer]] = {"gpt2": _byte_level_bpe}


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"The {what} {name!r} is not supported (supported: {', '.join(sorted(known))})."


def _field(reader: GGUFReader, key: str) -> ReaderField:
    field = reader.get_field(key)
    if field is None:
        raise UnsupportedModelError(f"The GGUF file has no {key}, so it has no tokenizer that can be read.")
    return field


def _strings(reader: GGUFReader, key: str) -> Iterator[str]:
    field = _field(reader, key)
    # ReaderField.contents() takes seconds on arrays of this size.
    return (field.parts[index].tobytes().decode("utf-8") for index in field.data)


def _string(reader: GGUFReader, key: str, default: str | None = None) -> str:
    if default is not None and reader.get_field(key) is None:
        return default
    return next(_strings(reader, key))


def _integers(field: ReaderField) -> Iterator[int]:
    return (int(field.parts[index][0]) for index in field.data)
