"""Files that are there whole or not at all, and what tells whether they are. It knows no layout."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

_SHA256_DIGITS = 64


def write_whole(path: Path, text: str) -> None:
    """Writes a file such that nobody ever sees a part of it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def checksum(path: Path, like: str) -> str:
    """Of a file, in the form of another one: its SHA-256, or git's id of a blob, which the hub has for small files."""
    with path.open("rb") as file:
        if len(like) == _SHA256_DIGITS:
            return hashlib.file_digest(file, "sha256").hexdigest()
        # Not against an attacker: git's own weakness is the hub's.
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()
