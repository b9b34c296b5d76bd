"""A tokenizer that is held in the middle of one text, as a very long one would hold it."""

import threading

import tokenizers
from tokenizers import pre_tokenizers

from tests.inference.tiny_tokenizer import tiny_tokenizer

WAIT = 5.0  # seconds until a test that waits for nothing fails


class HeldText:
    """A pre-tokenizer's first part: whoever encodes a text with this one in it waits there.

    reached: somebody does. let_go: they may go on.
    """

    def __init__(self, text: str) -> None:
        self.text, self.reached, self.let_go = text, threading.Event(), threading.Event()

    def pre_tokenize(self, pretok: tokenizers.PreTokenizedString) -> None:
        if self.text in "".join(piece for piece, *_ in pretok.get_splits()):
            self.reached.set()
            assert self.let_go.wait(WAIT), "the test forgot to let the text go"


def held_tokenizer(held: HeldText) -> tokenizers.Tokenizer:
    """The tiny tokenizer, held at this text."""
    tokenizer = tiny_tokenizer()
    parts = [pre_tokenizers.PreTokenizer.custom(held), tokenizer.pre_tokenizer]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    return tokenizer
