"""SentencePiece's BPE vocabularies (GGUF's tokenizer model `llama`) as a Hugging Face tokenizer.

Such a vocabulary has no list of merges: of all neighbours that together are a token, those with the highest score merge
first (SentencePiece, arXiv:1808.06226). Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from gguf import TokenType
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.vocabulary import Vocabulary

_SPACE = "\u2581"
_OF_TEXT = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED)
# The largest published vocabularies, of 260,000 tokens, have half a million merges of 3 million characters, and tokens
# of some hundred characters at most. Without bounds the merges of `a`, `aa`, `aaa` grow with the cube of their number.
_LONGEST_TOKEN = 1 << 10
_MOST_MERGES = 1 << 20
_MOST_CHARACTERS = 1 << 24


def build_sentencepiece(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer but for its special tokens. A character without a token becomes the tokens of its bytes.

    Raises UnsupportedModelError for tokens that are longer, or made of each other in more ways, than vocabularies have.
    """
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    unknown = None if vocabulary.unknown is None else vocabulary.tokens[vocabulary.unknown]
    model = BPE(vocab=ids, merges=_merges(vocabulary, ids), byte_fallback=True, fuse_unk=True, unk_token=unknown)
    tokenizer = Tokenizer(model)
    spaces = normalizers.Replace(" ", _SPACE)
    start = [normalizers.Prepend(_SPACE)] if vocabulary.add_space_prefix else []
    tokenizer.normalizer = normalizers.Sequence([*start, spaces])
    parts = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if vocabulary.add_space_prefix:
        parts.append(decoders.Strip(content=" ", left=1, right=0))
    tokenizer.decoder = decoders.Sequence(parts)
    return tokenizer


def _merges(vocabulary: Vocabulary, ids: dict[str, int]) -> list[tuple[str, str]]:
    """All pairs of tokens that make a token, those of the highest score first.

    A control or byte token is made by no merge: its name in a text is only text.
    """
    pairs, characters = [], 0
    for pair in _pairs(vocabulary, ids):
        pairs.append(pair)
        characters += len(pair[1]) + len(pair[2])
        if len(pairs) > _MOST_MERGES or characters > _MOST_CHARACTERS:
            raise UnsupportedModelError(
                f"The tokenizer's tokens are made of each other in more ways than are supported: {_MOST_MERGES} merges"
                f" of {_MOST_CHARACTERS} characters."
            )
    pairs.sort(key=lambda pair: (-pair[0], -len(pair[1]), pair[1]))
    return [(left, right) for _, left, right in pairs]


def _pairs(vocabulary: Vocabulary, ids: dict[str, int]) -> Iterator[tuple[float, str, str]]:
    for token, kind, score in zip(vocabulary.tokens, vocabulary.types, vocabulary.scores, strict=True):
        if kind in _OF_TEXT:
            if len(token) > _LONGEST_TOKEN:
                raise UnsupportedModelError(
                    f"The tokenizer has a token of {len(token)} characters; at most {_LONGEST_TOKEN} are supported."
                )
            for cut in range(1, len(token)):
                left, right = token[:cut], token[cut:]
                if left in ids and right in ids:
                    yield score, left, right
