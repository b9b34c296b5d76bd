"""Tokens to text, a piece at a time and never half a character. It knows no vocabulary but a table of bytes."""

import codecs
from collections.abc import Sequence


class Detokenizer:
    """The text of one growing sequence of tokens.

    `token_bytes[id]` is what a token adds to the text, b"" for a special token. The pieces together equal the
    bytes of all tokens decoded as UTF-8 at once, each malformed part replaced by U+FFFD.
    """

    __slots__ = ("_decoder", "_token_bytes")

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The characters that this token completes; may be empty."""
        return self._decoder.decode(self._token_bytes[token])

    def breaks(self, token: int) -> bool:
        """Whether this token, which has text, leaves an unfinished character behind, for good."""
        unfinished, _ = self._decoder.getstate()
        if not unfinished:
            return False
        try:
            codecs.getincrementaldecoder("utf-8")().decode(unfinished + self._token_bytes[token][:1])
        except UnicodeDecodeError:
            return True
        return False

    def flush(self) -> str:
        """What an unfinished character at the end amounts to: a replacement character, or nothing."""
        return self._decoder.decode(b"", final=True)
