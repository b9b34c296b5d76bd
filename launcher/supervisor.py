"""Runs a few commands as one: they start together, stop together, and none outlives the others.

Knows nothing of what the commands do.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from launcher.lifeline import die_with_this_process
from launcher.signals import Inbox

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# One stop can arrive as several signals: a signal to make's process group reaches the launcher, and make passes it on.
SAME_REQUEST_SECONDS = 1.0


class Supervisor:
    """Starts every command of `commands` (by name), each in a session of its own, with the environment `environ`.

    It acts first and speaks then: its words may go to a terminal that stands still, or to nobody. `say` raises nothing.

    The first stop signal becomes one SIGTERM to each; whatever still runs `patience` seconds later, or when a second
    signal comes, is killed. A command that ends by itself stops the others.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        *,
        environ: Mapping[str, str],
        patience: float,
        same_request: float = SAME_REQUEST_SECONDS,
        say: Callable[[str], None] = lambda line: print(f"answerd: {line}", file=sys.stderr),
    ) -> None:
        self._commands = commands
        self._environ = environ
        self._patience = patience
        self._same_request = same_request
        self._say = say
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._asked_at: float | None = None
        self._deadline: float | None = None
        self._killed = False
        self._status = 0

    def run(self) -> int:
        """Returns when all have ended: 0 after a clean stop, otherwise the status of the first that failed."""
        with Inbox((*_heard(), signal.SIGCHLD)) as inbox:
            self._start()
            while self._running:
                for number in inbox.wait(self._time_left()):
                    if number in STOP_SIGNALS:
                        self._on_stop_signal(number)
                self._collect_ended()
                if self._time_left() == 0.0:
                    self._on_deadline()
        if self._status == 0:
            self._say("stopped.")
        return self._status

    def _start(self) -> None:
        tie = die_with_this_process()
        for name, command in self._commands.items():
            try:
                self._running[name] = subprocess.Popen(
                    command, env=self._environ, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=tie
                )
            except OSError as error:
                self._stop()
                self._fail(f"the {name} cannot be started: {error.strerror}: {command[0]}", 1)
                return

    def _on_stop_signal(self, number: signal.Signals) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            self._stop()
            self._say(f"{number.name} received, stopping (a second one ends at once) ...")
        elif now - self._asked_at >= self._same_request and not self._killed:
            self._kill()
            self._fail(f"{number.name} received again, ending at once.", 128 + number)

    def _collect_ended(self) -> None:
        for name, process in list(self._running.items()):
            status = process.poll()
            if status is not None:
                del self._running[name]
                self._on_end(name, status)

    def _on_end(self, name: str, status: int) -> None:
        unasked = self._deadline is None
        if unasked:
            others = " and ".join(f"the {other}" for other in self._running)
            also = f"; stopping {others} too" if others else ""
            self._stop()
            self._fail(f"the {name} {describe(status)}{also}. Its last lines above say why.", exit_status(status) or 1)
        elif status not in (0, -signal.SIGTERM) and not self._killed:
            self._fail(f"the {name} {describe(status)} while stopping.", exit_status(status))

    def _on_deadline(self) -> None:
        if not self._killed:
            names = " and ".join(f"the {name}" for name in self._running)
            self._kill()
            self._fail(f"{names} did not stop within {self._patience:g} s: killed.", 1)

    def _stop(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + self._patience
            for process in self._running.values():
                process.terminate()

    def _kill(self) -> None:
        self._killed = True
        for process in self._running.values():
            # macOS forbids it for a group that has just ended.
            with suppress(PermissionError):
                os.killpg(process.pid, signal.SIGKILL)

    def _time_left(self) -> float | None:
        if self._deadline is None or self._killed:
            return None
        return max(0.0, self._deadline - time.monotonic())

    def _fail(self, sentence: str, status: int) -> None:
        self._status = self._status or status
        self._say(sentence)


def _heard() -> list[signal.Signals]:
    """The stop signals, without a hang-up that this process was started to ignore, as `nohup` does."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (ignored and number is signal.SIGHUP)]


def describe(status: int) -> str:
    """How a process ended, in words, from a status as `Popen.returncode` has it."""
    if status >= 0:
        return f"ended with exit status {status}"
    # Not every number has a name: real-time signals do not.
    name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
    hint = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


def exit_status(status: int) -> int:
    """The same as an exit status, as a shell has it: 128 and more for a signal."""
    return status if status >= 0 else 128 - status
