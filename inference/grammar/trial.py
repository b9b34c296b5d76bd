"""Tries grammars out in a process of its own, since no limit of the compiler's keeps it from crashing or hanging."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

from inference.grammar.errors import GrammarError
from inference.grammar.vocabulary import Vocabulary

_COMMAND = (sys.executable, "-m", "inference.grammar.trial_process")
_TOO_SLOW = "It takes too long to compile."
_TOO_MUCH = "It takes more memory or a deeper recursion to compile than is allowed."


class Trial:
    """The process begins with the first grammar (0.4 s) and goes on for the next ones; one grammar at a time."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def check(self, definition: str) -> None:
        """Raises GrammarError if the definition cannot be compiled within the limits, or fails on a walk through it."""
        with self._lock:
            reason = self._reason_against(definition)
        if reason is not None:
            raise GrammarError(reason)

    def close(self) -> None:
        """May be called more than once; a later check begins a new process."""
        with self._lock:
            self._end()

    def _reason_against(self, definition: str) -> str | None:
        process = self._running()
        answer = _ask(process, definition)
        if not answer:
            self._end()
            return _TOO_SLOW if process.returncode == -signal.SIGPROF else _TOO_MUCH
        reason: str | None = json.loads(answer)
        return reason

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._process is None:
            environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            # A session of its own: a Ctrl-C is for the service, which ends this process when it ends.
            self._process = subprocess.Popen(
                _COMMAND,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                start_new_session=True,
            )
            _write(self._process, self._vocabulary.to_json())
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _ask(process: subprocess.Popen[str], definition: str) -> str:
    """The answer, or nothing from a process that has died."""
    _write(process, json.dumps(definition))
    assert process.stdout is not None
    return process.stdout.readline()


def _write(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
    except BrokenPipeError:  # it has died, which reading its answer shows
        pass
