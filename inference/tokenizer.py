"""Text to token ids and token ids to bytes, from a Hugging Face `tokenizer.json`.

Knows which tokens are special and when they may be recognised.
Does not know chat templates, models, or how bytes become text again.
"""

import json
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers.pre_tokenizers import ByteLevel

from inference.quoted import printable
from inference.types import ContextLengthExceeded, ModelFileError

_SENTENCEPIECE_SPACE = "\u2581"


class Tokenizer:
    """One model's tokenizer; threads share it without waiting for each other."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, left_out: Collection[str] = ()) -> None:
        """Takes the tokenizer over. left_out: tokens of the file that it no longer has."""
        self.left_out = left_out
        # The file may say how its author's batches were cut and filled up; a prompt is taken as it is.
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        # Whether special tokens are recognised is a state of a tokenizer, not an argument of encode, and a state that
        # changes would need a lock: so there are two.
        self._plain = _copy(tokenizer, tokenizer.get_added_tokens_decoder())
        self._plain.encode_special_tokens = True
        added = tokenizer.get_added_tokens_decoder()
        self._special = {token.content: index for index, token in added.items() if token.special}
        self._rstrip = tuple(token.content for token in added.values() if token.special and token.rstrip)
        self._added = {index: token.content for index, token in added.items()}
        ids = tokenizer.get_vocab(with_added_tokens=True)
        self._longest = max(map(len, ids), default=1)
        self.vocab_size = max(ids.values(), default=-1) + 1

    @classmethod
    def open(cls, path: Path, ids: int | None = None) -> "Tokenizer":
        """Load a `tokenizer.json` (0.2 s for 49152 tokens). Raises ModelFileError if it is missing or broken.

        ids: how many the model knows. Added tokens beyond, which it can neither read nor say, are left out: Gemma 3 has
        one for images.
        """
        if not path.is_file():
            raise ModelFileError(f"{path} is missing.")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(path))
            added = tokenizer.get_added_tokens_decoder()
            known = {index: token for index, token in added.items() if ids is None or index < ids}
            if len(known) == len(added):
                return cls(tokenizer)
            return cls(_copy(tokenizer, known), [added[index].content for index in sorted(added.keys() - known.keys())])
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelFileError(
                f"{path} is not a tokenizer.json that can be read: {printable(str(error), 300)}."
            ) from error

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The ids of the special tokens, by their text."""
        return self._special

    def token(self, token_id: int) -> str | None:
        """The text of one token as the vocabulary writes it, or None for an id without one."""
        token: str | None = self._tokenizer.id_to_token(token_id)
        return token

    def encode(self, segments: Iterable[tuple[str, bool]], limit: int | None = None) -> tuple[int, ...]:
        """The token ids of (text, is_control) segments, one after the other.

        In control segments special tokens are recognised; in the others the same characters are plain text.
        Nothing is added: a beginning-of-sequence token stands in the text or does not exist. A special token that takes
        the white space behind it takes that of the next segment.
        The interpreter lock is free meanwhile, so a long text belongs in a thread of its own (0.3 s a megabyte).

        Raises ContextLengthExceeded without encoding if the text is so long that it must have more than `limit`
        tokens; its `prompt_tokens` is then the fewest there can be. A text that passes may still have more.
        """
        segments = list(segments)
        fewest = -(-sum(len(text) for text, _ in segments) // self._longest)
        if limit is not None and fewest > limit:
            raise ContextLengthExceeded(fewest, limit, at_least=True)
        return tuple(token for text, is_control in self._stripped(segments) for token in self._encode(text, is_control))

    def _stripped(self, segments: Iterable[tuple[str, bool]]) -> Iterator[tuple[str, bool]]:
        behind = False
        for text, is_control in segments:
            yield (text.lstrip() if behind else text), is_control
            behind = is_control and text.endswith(self._rstrip)

    def split(self, text: str) -> list[int]:
        """The token ids of a short text in which special tokens are recognised. The interpreter lock is kept: nobody's
        long prompt is waited for, as in the library's pool of threads."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _encode(self, text: str, is_control: bool) -> list[int]:
        tokenizer = self._tokenizer if is_control else self._plain
        # Of the encode methods only the batch ones let go of the interpreter lock.
        (encoding,) = tokenizer.encode_batch_fast([text], add_special_tokens=False)
        ids: list[int] = encoding.ids
        return ids

    def token_bytes(self, shown: Container[str] = ()) -> list[bytes]:
        """The bytes each token id stands for, as a list of `vocab_size`; b"" for unused ids and for special tokens,
        except those whose text is to be shown."""
        table = [b""] * self.vocab_size
        if _is_byte_level(self._tokenizer):
            _fill_byte_level(table, self._vocabulary())
        else:
            _fill_sentencepiece(table, self._vocabulary())
        for index, content in self._added.items():
            hidden = content in self._special and content not in shown
            table[index] = b"" if hidden else content.encode("utf-8")
        return table

    def _vocabulary(self) -> Iterator[tuple[int, str]]:
        """Each id that is used and its token, one by one: all at once take 12 MB for 49152 tokens."""
        for index in range(self.vocab_size):
            if (token := self.token(index)) is not None:
                yield index, token


def _copy(tokenizer: tokenizers.Tokenizer, added: Mapping[int, tokenizers.AddedToken]) -> tokenizers.Tokenizer:
    """The same tokenizer with these of its added tokens; the two share vocabulary and merges (1 ms)."""
    copy = tokenizers.Tokenizer(tokenizer.model)
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        if (value := getattr(tokenizer, part)) is not None:
            setattr(copy, part, value)

    def place(item: tuple[int, tokenizers.AddedToken]) -> tuple[bool, int, int]:
        index, token = item
        # A token that the vocabulary has keeps its id whenever it is added; another one gets the next that is free.
        is_new = tokenizer.model.token_to_id(token.content) is None
        return is_new, 0 if is_new else int(token.special), index

    # All of one kind at once: every call builds anew what searches for them, minutes in all for some thousands.
    for special, group in groupby(sorted(added.items(), key=place), lambda item: item[1].special):
        (copy.add_special_tokens if special else copy.add_tokens)([token for _, token in group])
    assert copy.get_added_tokens_decoder().keys() == added.keys(), "a token that is added again gets the same id"
    return copy


def _is_byte_level(tokenizer: tokenizers.Tokenizer) -> bool:
    decoder = tokenizer.decoder
    if decoder is None:
        return False
    state: dict[str, Any] = json.loads(decoder.__getstate__())
    return any(part["type"] == "ByteLevel" for part in [state, *state.get("decoders", [])])


def _fill_byte_level(table: list[bytes], vocabulary: Iterable[tuple[int, str]]) -> None:
    to_latin1 = {ord(char): chr(byte) for byte, char in enumerate(_byte_characters())}
    for index, token in vocabulary:
        try:
            table[index] = token.translate(to_latin1).encode("latin-1")
        except UnicodeEncodeError:  # a token in plain text, not in the byte alphabet
            table[index] = token.encode("utf-8")


def _byte_characters() -> list[str]:
    """The 256 characters that stand for the bytes in a byte-level vocabulary, in the order of the bytes.

    GPT-2's alphabet: a byte whose Latin-1 character is visible stands for itself, the others follow from U+0100.
    """
    alphabet = set(ByteLevel.alphabet())
    others = iter(sorted(char for char in alphabet if ord(char) > 0xFF))
    return [chr(byte) if chr(byte) in alphabet else next(others) for byte in range(256)]


def _fill_sentencepiece(table: list[bytes], vocabulary: Iterable[tuple[int, str]]) -> None:
    one_byte = {f"<0x{byte:02X}>": bytes([byte]) for byte in range(256)}
    for index, token in vocabulary:
        table[index] = one_byte.get(token) or token.replace(_SENTENCEPIECE_SPACE, " ").encode("utf-8")
