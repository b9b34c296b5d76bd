"""The hub's own cache on this disk, as all of its tools share it: blobs by checksum, and commits as links to them.

It knows the documented layout and no network. Reference: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from service.models.hub.files import checksum, write_whole


class RepositoryCache:
    """One repository's part of the cache whose folder is `root`."""

    def __init__(self, root: Path, repository: str) -> None:
        folder = f"models--{repository.replace('/', '--')}"
        self.folder = root / folder
        self._locks = root / ".locks" / folder
        self._main = self.folder / "refs" / "main"

    def snapshot(self, commit: str) -> Path:
        """The folder of a commit; its files have their own names there."""
        return self.folder / "snapshots" / commit

    def holds(self, commit: str, files: Iterable[str]) -> bool:
        return all((self.snapshot(commit) / file).is_file() for file in files)

    def main(self) -> tuple[str, list[str]] | None:
        """The commit that was last called main, and the paths of the files of it that are here."""
        with suppress(OSError, UnicodeDecodeError):
            commit = self._main.read_text(encoding="ascii").strip()
            snapshot = self.snapshot(commit)
            return commit, [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]
        return None

    def call_main(self, commit: str) -> None:
        """Writes nothing where it is called so already: the cache may be there for reading only. Raises OSError."""
        called = self.main()
        if called is None or called[0] != commit:
            write_whole(self._main, commit)

    def blob(self, digest: str) -> Path:
        return self.folder / "blobs" / digest

    def partial(self, digest: str) -> Path:
        """What has arrived of a blob; never taken for the blob itself."""
        return self.folder / "blobs" / f"{digest}.incomplete"

    def lock(self, digest: str) -> AbstractContextManager[Any]:
        """Held by one thread of one process at a time, be it one of ours or of another tool of the hub."""
        self._locks.mkdir(parents=True, exist_ok=True)
        return FileLock(self._locks / f"{digest}.lock")

    def keep(self, digest: str) -> bool:
        """Makes a blob of what has arrived, if that has the checksum; else deletes it, and is false. Raises OSError."""
        partial = self.partial(digest)
        if checksum(partial, like=digest) != digest:
            partial.unlink()
            return False
        # After a power cut, what has the blob's name has its content, too.
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(self.blob(digest))
        return True

    def link(self, commit: str, file: str, digest: str) -> None:
        """Shows a blob in the folder of a commit. Raises OSError."""
        pointer = self.snapshot(commit) / file
        if pointer.exists():
            return
        pointer.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            pointer.symlink_to(os.path.relpath(self.blob(digest), pointer.parent))
