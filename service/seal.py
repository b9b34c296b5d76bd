"""Seals text: what clients keep for the server, and can neither read nor alter nor use for somebody else.

Encrypted, then authenticated: SHAKE-256 over a key and a random nonce is the key stream, HMAC-SHA-256 the tag. Both
keys follow from the server's secret and the owner. The standard library has no cipher, and this needs none.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets

VERSION = b"\x01"
NONCE_BYTES = 16
TAG_BYTES = 32
SECRET_BYTES = 32


class BrokenSeal(Exception):
    """Not what this server sealed for this owner: altered, cut off, another owner's or another server's."""


class Seal:
    """Seals and opens with one secret of SECRET_BYTES random bytes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def close(self, owner: str, text: str) -> str:
        """The text in base64, readable for nobody else; different at each call."""
        head = VERSION + secrets.token_bytes(NONCE_BYTES)
        body = head + self._crypted(owner, head, text.encode())
        return base64.b64encode(body + self._tag(owner, body)).decode()

    def open(self, owner: str, sealed: str) -> str:
        """The text. Raises BrokenSeal."""
        try:
            blob = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise BrokenSeal from None
        body, tag = blob[:-TAG_BYTES], blob[-TAG_BYTES:]
        head = body[: len(VERSION) + NONCE_BYTES]
        if not head.startswith(VERSION) or not hmac.compare_digest(self._tag(owner, body), tag):
            raise BrokenSeal
        return self._crypted(owner, head, body[len(head) :]).decode()

    def _crypted(self, owner: str, head: bytes, text: bytes) -> bytes:
        """The text under the key stream, in either direction."""
        stream = hashlib.shake_256(self._key("encrypt", owner) + head).digest(len(text))
        return (int.from_bytes(text) ^ int.from_bytes(stream)).to_bytes(len(text))

    def _tag(self, owner: str, body: bytes) -> bytes:
        return hmac.digest(self._key("authenticate", owner), body, "sha256")

    def _key(self, purpose: str, owner: str) -> bytes:
        return hmac.digest(self._secret, f"{purpose}\n{owner}".encode(), "sha256")
