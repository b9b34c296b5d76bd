"""The virtual environment `.venv`: made, filled from the lock files, repaired, and left alone when it is in order.

Uses the standard library only. Knows nothing of what the packages are for.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from launcher.pip_install import LAST_LINES, InstallError, install_with_pip

Install = Callable[[Path, Path, int], None]


class Lock(NamedTuple):
    """A lock file and what it downloads, in MB."""

    file: str
    megabytes: int


LOCKS = {
    "runtime": Lock("requirements.lock", 390),
    "dev": Lock("requirements-dev.lock", 60),
    "cuda": Lock("requirements-cuda.lock", 1300),
}


class Environment:
    """One `.venv` below `root`, shared by any number of runs at once.

    `.venv/answerd.json` says what is installed: the digests of the lock files, the folder it was made for, and whether
    the installation reached its end. An environment that did not, or that was moved, is made afresh.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        locks: dict[str, Lock] = LOCKS,
        install: Install = install_with_pip,
        say: Callable[[str], None] = print,
        interpreter: str = sys.executable,
    ) -> None:
        self.root = Path(root).resolve()
        self.folder = self.root / ".venv"
        self.python = self.folder / "bin" / "python"
        self._record = self.folder / "answerd.json"
        self._locks = locks
        self._install = install
        self._say = say
        self._interpreter = interpreter

    def ensure(self, names: Sequence[str]) -> bool:
        """Installs the named lock files where they are not; returns whether there was anything to do.

        Raises InstallError with one sentence for the user.
        """
        wanted = {name: self._digest(name) for name in names}
        if self._in_order(wanted):
            return False
        with self._alone() as lock:
            if self._in_order(wanted):
                return False
            self._bring_in_order(wanted, lock)
        return True

    def _digest(self, name: str) -> str:
        path = self.root / self._locks[name].file
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise InstallError(f"{path} cannot be read: {error.strerror}.") from error

    def _in_order(self, wanted: dict[str, str]) -> bool:
        record = self._read()
        return self._usable(record) and wanted.items() <= record["installed"].items()

    def _usable(self, record: dict[str, Any]) -> bool:
        made_here = record.get("root") == str(self.root) and record.get("complete") is True
        return made_here and isinstance(record.get("installed"), dict) and self.python.exists()

    def _bring_in_order(self, wanted: dict[str, str], lock: int) -> None:
        record = self._read()
        installed: dict[str, str] = record["installed"] if self._usable(record) else {}
        adopted = not record and self.python.exists()
        if not adopted and not self._usable(record):
            self._discard()
        self._write(installed, complete=False)
        if not self.python.exists():
            self._create()
        self._make_importable()
        for name, digest in wanted.items():
            if installed.get(name) != digest:
                file, megabytes = self._locks[name]
                self._say(f"Installing the pinned dependencies of {file} (about {megabytes} MB) ...")
                self._install(self.python, self.root / file, lock)
                installed[name] = digest
        self._write(installed, complete=True)

    def _discard(self) -> None:
        if self.folder.is_symlink():
            self.folder.unlink()  # what it leads to is another checkout's
            return
        # Python goes first: should this be interrupted, the rest is not taken for an environment made by hand.
        self.python.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _create(self) -> None:
        command = [self._interpreter, "-m", "venv", str(self.folder)]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            last = "\n".join((made.stderr or made.stdout).splitlines()[-LAST_LINES:])
            raise InstallError(
                f"{last}\n{self._interpreter} cannot make a virtual environment; its last lines above say why "
                "(on Debian and Ubuntu, `apt install python3-venv` adds a missing venv module)."
            )

    def _make_importable(self) -> None:
        """The packages of this checkout are importable from anywhere, without an installation of their own."""
        for site in self.folder.glob("lib/python3*/site-packages"):
            (site / "answerd.pth").write_text(f"{self.root}\n{self.root / 'proto'}\n", encoding="utf-8")

    def _read(self) -> dict[str, Any]:
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            return {"complete": False}
        return record if isinstance(record, dict) else {"complete": False}

    def _write(self, installed: dict[str, str], *, complete: bool) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps({"root": str(self.root), "complete": complete, "installed": installed})
        draft = self._record.with_suffix(".draft")
        draft.write_text(text, encoding="utf-8")
        draft.replace(self._record)

    @contextmanager
    def _alone(self) -> Iterator[int]:
        """Waits until no other run installs; yields the lock's descriptor.

        The lock lies beside the environment, which may be deleted while it is held.
        """
        descriptor = os.open(self.root / ".venv.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("Another run is installing the dependencies; waiting for it ...")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)
