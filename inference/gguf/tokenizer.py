"""The vocabulary of a GGUF file as a Hugging Face tokenizer.

Knows which builder each tokenizer model has, and what special tokens are.
Does not know the file, the model's weights or the chat template.
"""

from collections.abc import Callable, Iterable

from gguf import TokenType
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.pre_tokenizers import PRE_TOKENIZATIONS
from inference.gguf.sentencepiece import build_sentencepiece
from inference.gguf.special_tokens import with_control_types
from inference.gguf.vocabulary import Vocabulary
from inference.quoted import quoted


def build_tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    """The tokenizer of a vocabulary, with ids and splits equal to llama.cpp's.

    Raises UnsupportedModelError for a tokenizer model or pre-tokenizer that is not known exactly.
    """
    build = TOKENIZER_MODELS.get(vocabulary.model)
    if build is None:
        raise UnsupportedModelError(_unknown("tokenizer model", vocabulary.model, TOKENIZER_MODELS))
    vocabulary = with_control_types(vocabulary)
    tokenizer = build(vocabulary)
    _add_tokens(tokenizer, vocabulary)
    return tokenizer


def _byte_level_bpe(vocabulary: Vocabulary) -> Tokenizer:
    pre = PRE_TOKENIZATIONS.get(vocabulary.pre)
    if pre is None:
        raise UnsupportedModelError(_unknown("pre-tokenizer", vocabulary.pre, PRE_TOKENIZATIONS))
    ids = {token: index for index, token in enumerate(vocabulary.tokens)}
    # A half may itself begin with a space, so the search for the dividing one starts behind the first character.
    cuts = ((merge, merge.find(" ", 1)) for merge in vocabulary.merges)
    merges = [(merge[:cut], merge[cut + 1 :]) for merge, cut in cuts]
    try:
        model = BPE(vocab=ids, merges=merges, ignore_merges=pre.whole_words)
    except Exception as error:  # tokenizers raises bare Exception
        raise UnsupportedModelError(f"The tokenizer's merges do not fit its tokens: {quoted(str(error))}.") from error
    tokenizer = Tokenizer(model)
    if pre.composed:
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.build()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


# Phi-3's tokens that leave the white space behind them, as its published tokenizer and llama.cpp have them.
_NEVER_RSTRIP = ("<unk>", "<s>", "<|endoftext|>")

TOKENIZER_MODELS: dict[str, Callable[[Vocabulary], Tokenizer]] = {
    "gpt2": _byte_level_bpe,
    "llama": build_sentencepiece,
}


def _add_tokens(tokenizer: Tokenizer, vocabulary: Vocabulary) -> None:
    kinds = tuple(zip(vocabulary.tokens, vocabulary.types, strict=True))
    special = [token for token, kind in kinds if kind in (TokenType.CONTROL, TokenType.UNKNOWN)]
    defined = [token for token, kind in kinds if kind == TokenType.USER_DEFINED]
    tokenizer.add_special_tokens([_added(token, vocabulary, special=True) for token in special])
    tokenizer.add_tokens([_added(token, vocabulary, special=False) for token in defined])


def _added(token: str, vocabulary: Vocabulary, *, special: bool) -> AddedToken:
    rstrip = vocabulary.rstrip and token not in _NEVER_RSTRIP
    return AddedToken(token, special=special, normalized=False, rstrip=rstrip)


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    return f"The {what} {quoted(name)} is not supported (supported: {', '.join(sorted(known))})."
