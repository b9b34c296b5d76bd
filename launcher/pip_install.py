"""One call of pip: quiet, with a counter on a terminal, and with its last lines if it fails.

Knows nothing of when an installation is needed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Self

LAST_LINES = 15


class InstallError(Exception):
    """The environment cannot be made; the message is a sentence for the user."""


def install_with_pip(python: Path, lock_file: Path, lock: int) -> None:
    """Installs every line of `lock_file` as it stands; raises InstallError with pip's last lines.

    pip inherits the descriptor `lock`: should this process be killed, the lock stays held for as long as pip writes.
    """
    command = [str(python), "-m", "pip", "install", "--no-deps", "--no-input", "--progress-bar", "off"]
    command += ["--disable-pip-version-check", "-r", str(lock_file)]
    pins = sum(1 for line in lock_file.read_text(encoding="utf-8").splitlines() if "==" in line.split("#")[0])
    with (
        _Interrupts() as interrupts,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[lock],
        ) as pip,
    ):
        assert pip.stdout is not None
        try:
            interrupts.let_through()
            last = _follow(pip.stdout, pins)
        except BaseException:
            pip.terminate()
            raise
    if pip.returncode != 0:
        version = ".".join(str(part) for part in sys.version_info[:2])
        raise InstallError(
            "\n".join(last) + f"\nThe packages of {lock_file.name} could not be installed with Python {version}; "
            "pip's last lines above say why, and the next run tries again."
        )


class _Interrupts:
    """Holds interrupts back: one that came while pip is started would leave a pip that nobody ends. For the main
    thread."""

    def __enter__(self) -> Self:
        self._came = False
        self._handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def let_through(self) -> None:
        """From now on; raises KeyboardInterrupt if one came."""
        while self._handlers:
            signal.signal(*self._handlers.popitem())
        if self._came:
            raise KeyboardInterrupt

    def __exit__(self, *error: object) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())

    def _note(self, number: int, frame: object) -> None:
        self._came = True


def _follow(lines: Iterable[str], pins: int) -> list[str]:
    """Counts the packages on a terminal; returns the last lines."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    terminal = sys.stdout.isatty()
    seen = 0
    for line in lines:
        last.append(line.rstrip())
        if line.startswith(("Collecting ", "Requirement already satisfied: ", "Ignoring ")):
            seen += 1
        if terminal:
            step = "unpacking" if line.startswith("Installing collected") else f"{seen}/{pins}"
            sys.stdout.write(f"\r  {step}\x1b[K")
            sys.stdout.flush()
    if terminal:
        sys.stdout.write("\r\x1b[K")
    return list(last)
