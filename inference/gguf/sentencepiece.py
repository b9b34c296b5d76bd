"""SentencePiece's BPE vocabularies (GGUF's tokenizer model `llama`) as a Hugging Face tokenizer.

Such a vocabulary has no list of merges: of all neighbours that together are a token, those with the highest score merge
first (SentencePiece, arXiv:1808.06226). Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from gguf import TokenType
from tokenizers import Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from inference.gguf.vocabulary import Vocabulary

_SPACE = "\u2581"
_OF_TEXT = (TokenType.NORMAL, TokenType.USER_DEFINED, TokenType.UNUSED)


def build_sentencepiece(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer but for its special tokens. A character without a token becomes the tokens of its bytes."""
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
    pairs = sorted(_pairs(vocabulary, ids), key=lambda pair: (-pair[0], -len(pair[1]), pair[1]))
    return [(left, right) for _, left, right in pairs]


def _pairs(vocabulary: Vocabulary, ids: dict[str, int]) -> Iterator[tuple[float, str, str]]:
    for token, kind, score in zip(vocabulary.tokens, vocabulary.types, vocabulary.scores, strict=True):
        if kind in _OF_TEXT:
            for cut in range(1, len(token)):
                left, right = token[:cut], token[cut:]
                if left in ids and right in ids:
                    yield score, left, right
