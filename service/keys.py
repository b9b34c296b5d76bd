"""API keys: a file of lines `owner sha256-hex`, and the command that makes a key.

    python -m service.keys OWNER [--file PATH]

It holds digests only; a key is shown once, when it is made. It knows nothing of how a key reaches the service.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import os
import re
import secrets
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

LOCAL_OWNER = "local"
KEY_PREFIX = "sk-answerd-"
OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
OWNER_RULE = "1 to 64 letters, digits or any of . _ @ - and begins with a letter or digit"
DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class KeysFileError(Exception):
    """The keys file cannot be used; `str()` is one sentence that names the file and, where there is one, the line."""


class KeyEntry(NamedTuple):
    """One line of the file: an owner and the SHA-256 of a key of theirs (32 bytes)."""

    owner: str
    digest: bytes


class KeyRing:
    """Tells the owner of a key. Without entries (None) there are no keys: everything belongs to the one local owner."""

    def __init__(self, entries: Iterable[KeyEntry] | None = None) -> None:
        self._entries = None if entries is None else tuple(entries)

    @classmethod
    def load(cls, path: Path | None) -> KeyRing:
        """The keys of a file; None stands for no file. Raises KeysFileError."""
        return cls() if path is None else cls(_read(path))

    def owner_of(self, key: str | None) -> str | None:
        """The owner of a key, or None for a missing or unknown one.

        Every entry is compared in constant time, so the duration tells nothing about the keys.
        """
        if self._entries is None:
            return LOCAL_OWNER
        digest = _digest_of(key or "")
        found: str | None = None
        for entry in self._entries:
            if hmac.compare_digest(entry.digest, digest):
                found = entry.owner
        return found


def _digest_of(key: str) -> bytes:
    # What a client sends as a header may not be text; it must not raise, only match nothing.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _read(path: Path) -> list[KeyEntry]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise KeysFileError(f"The API keys file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise KeysFileError(f"The API keys file {path} is not a text file in UTF-8.") from error
    entries: dict[bytes, KeyEntry] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            entry = _parse(words, f"Line {number} of the API keys file {path}")
            if entry.digest in entries:
                raise KeysFileError(f"Line {number} of the API keys file {path} repeats the key of an earlier line.")
            entries[entry.digest] = entry
    if not entries:
        raise KeysFileError(
            f"The API keys file {path} holds no key, so nobody could connect: make one with"
            f" `python -m service.keys OWNER --file {path}`."
        )
    return list(entries.values())


def _parse(words: Sequence[str], place: str) -> KeyEntry:
    if len(words) != 2:
        raise KeysFileError(f"{place} has {len(words)} words where `owner sha256-hex` is expected.")
    owner, digest = words
    if not OWNER.fullmatch(owner):
        raise KeysFileError(f"{place} names the owner {owner!r}, but an owner has {OWNER_RULE}.")
    if not DIGEST.fullmatch(digest):
        raise KeysFileError(f"{place} does not end with a SHA-256 digest of 64 hexadecimal digits.")
    return KeyEntry(owner, bytes.fromhex(digest))


def make_key(owner: str) -> tuple[str, str]:
    """A new random key for an owner, and its line for the file. Raises ValueError for a name that cannot be one."""
    if not OWNER.fullmatch(owner):
        raise ValueError(f"{owner!r} cannot be an owner: the name has {OWNER_RULE}.")
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    return key, f"{owner} {_digest_of(key).hex()}"


def append_line(path: Path, line: str) -> None:
    """Adds a line to a keys file, which is created for its user alone. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
        unfinished = size > 0 and file.read(1) != b"\n"
        file.write(b"\n" * unfinished + line.encode() + b"\n")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m service.keys", description="Makes an API key and prints it once.")
    parser.add_argument("owner", help="whom the key belongs to")
    parser.add_argument("--file", type=Path, help="keys file to add the line to; without it the line is printed")
    arguments = parser.parse_args(argv)
    try:
        key, line = make_key(arguments.owner)
        if arguments.file is not None:
            append_line(arguments.file, line)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"The API keys file {arguments.file} cannot be written: {error.strerror}.", file=sys.stderr)
        return 1
    # The key alone on stdout, so that it can go into a variable.
    print(key)
    where = f"Its line was added to {arguments.file}." if arguments.file else f"Its line for the keys file: {line}"
    print(f"This key is shown only now. {where}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
