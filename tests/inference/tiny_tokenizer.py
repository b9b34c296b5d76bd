"""A byte-level tokenizer of 256 bytes, a few merges and ChatML's control tokens, for tests that need no model."""

from pathlib import Path

import tokenizers
from tokenizers import AddedToken, decoders, pre_tokenizers
from tokenizers.models import BPE

CONTROL = {"<|endoftext|>": 0, "<|im_start|>": 1, "<|im_end|>": 2}
THINK = "<think>"  # an added token that is not special
_MERGES = [("h", "i"), ("Ġ", "hi"), ("<", "|"), ("i", "m")]


def tiny_tokenizer() -> tokenizers.Tokenizer:
    tokens = [*CONTROL, *sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in _MERGES), THINK]
    tokenizer = tokenizers.Tokenizer(BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=_MERGES))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL])
    tokenizer.add_tokens([AddedToken(THINK, special=False, normalized=False)])
    return tokenizer


def save_tiny_tokenizer(path: Path) -> None:
    tiny_tokenizer().save(str(path))
