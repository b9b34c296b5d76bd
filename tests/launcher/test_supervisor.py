"""The supervisor with real processes. Reading the shared output to its end waits until every process has ended."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from launcher.supervisor import describe
from tests.support.processes import Processes
from tests.support.server import eventually

pytestmark = pytest.mark.timeout(60)

ROOT = Path(__file__).resolve().parents[2]
PREAMBLE = """
import os, signal, sys
name = sys.argv[1]
def say(text):
    os.write(1, f"{name} {text}\\n".encode())  # a line in one piece, as the other child writes too
def ready():
    say(f"ready {os.getpid()} {os.getsid(0)}")
    while True:
        signal.pause()
def on(number, function):
    signal.signal(number, lambda *_: function())
def end(status):
    say("finished")
    sys.exit(status)
asked = lambda: say("asked")
"""
OBEDIENT = PREAMBLE + "on(signal.SIGTERM, lambda: (asked(), end(0)))\nready()"
PATIENT = PREAMBLE + "on(signal.SIGTERM, asked)\non(signal.SIGUSR1, lambda: end(0))\nready()"
FAILING = PREAMBLE + "on(signal.SIGTERM, lambda: end(0))\non(signal.SIGUSR1, lambda: end(3))\nready()"
FAILING_LATE = PREAMBLE + "on(signal.SIGTERM, lambda: end(7))\nready()"
UNPREPARED = PREAMBLE + "ready()"


class Launched:
    """A supervisor process with its children and everything they print."""

    def __init__(self, plan: dict[str, object], processes: Processes, before: Sequence[str] = ()) -> None:
        command = [*before, sys.executable, "-m", "tests.launcher.supervised", json.dumps(plan)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = processes.start(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.pids: dict[str, int] = {}
        self.sessions: dict[str, int] = {}
        self.lines: list[str] = []

    def until(self, pattern: str, times: int = 1) -> None:
        """Reads until a line has matched `times` times."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            started = re.match(r"(\w+) ready (\d+) (\d+)", line)
            if started:
                self.pids[started[1]], self.sessions[started[1]] = int(started[2]), int(started[3])
            times -= 1 if re.search(pattern, line) else 0
            if times == 0:
                return
        pytest.fail(f"ended without {pattern!r}:\n" + "\n".join(self.lines))

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit status and all the output, once every process that shares it has ended."""
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines += [line.rstrip() for line in output]
        return self.process.wait(), "\n".join(self.lines)


Launch = Callable[..., Launched]


@pytest.fixture(autouse=True)
def hang_ups_are_heard() -> Iterator[None]:
    """Children inherit what is ignored: without this, tests that run under nohup would start launchers that obey it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def launch(processes: Processes) -> Launch:
    def start(
        patience: float = 60, same_request: float = 60, ready: int = 2, before: Sequence[str] = (), **children: str
    ) -> Launched:
        plan: dict[str, object] = {"children": children, "patience": patience, "same_request": same_request}
        launched = Launched(plan, processes, before)
        if ready:
            launched.until(" ready ", ready)
        return launched

    return start


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_stop_signal_stops_both_cleanly_with_one_sigterm_each(launch: Launch, number: signal.Signals) -> None:
    launched = launch(service=OBEDIENT, facade=OBEDIENT)
    launched.signal(number)
    status, output = launched.end()
    assert status == 0
    assert output.count("service asked") == 1
    assert output.count("facade asked") == 1
    assert output.endswith("answerd: stopped.")


def test_each_child_has_a_session_of_its_own(launch: Launch) -> None:
    launched = launch(service=OBEDIENT, facade=OBEDIENT)
    assert launched.sessions == launched.pids


def test_a_child_that_has_no_handler_yet_stops_cleanly_too(launch: Launch) -> None:
    launched = launch(service=UNPREPARED, facade=OBEDIENT)
    launched.signal(signal.SIGTERM)
    assert launched.end()[0] == 0


def test_the_same_request_arriving_twice_lets_both_finish(launch: Launch) -> None:
    """Make passes on a signal that its whole process group, the launcher included, has received already."""
    launched = launch(service=PATIENT, facade=PATIENT)
    launched.signal(signal.SIGTERM)
    launched.until(" asked", 2)
    launched.signal(signal.SIGTERM)
    for pid in launched.pids.values():
        os.kill(pid, signal.SIGUSR1)
    status, output = launched.end()
    assert status == 0
    assert output.count(" asked") == 2
    assert output.count(" finished") == 2


def test_a_second_signal_kills_both_at_once(launch: Launch) -> None:
    launched = launch(service=PATIENT, facade=PATIENT, same_request=0)
    launched.signal(signal.SIGINT)
    launched.until(" asked", 2)
    launched.signal(signal.SIGINT)
    status, output = launched.end()
    assert status == 128 + signal.SIGINT
    assert "SIGINT received again, ending at once." in output
    assert " finished" not in output


def test_a_child_that_outlasts_the_patience_is_killed_and_named(launch: Launch) -> None:
    launched = launch(service=PATIENT, facade=OBEDIENT, patience=0.3)
    launched.signal(signal.SIGTERM)
    status, output = launched.end()
    assert status == 1
    assert "the service did not stop within 0.3 s: killed." in output


def test_a_child_that_fails_stops_the_other_and_gives_its_status(launch: Launch) -> None:
    launched = launch(service=FAILING, facade=OBEDIENT)
    os.kill(launched.pids["service"], signal.SIGUSR1)
    status, output = launched.end()
    assert status == 3
    assert "the service ended with exit status 3; stopping the facade too. Its last lines above say why." in output
    assert "facade finished" in output


def test_a_child_that_is_killed_stops_the_other_and_the_end_says_so(launch: Launch) -> None:
    launched = launch(service=OBEDIENT, facade=OBEDIENT)
    os.kill(launched.pids["facade"], signal.SIGKILL)
    status, output = launched.end()
    assert status == 128 + signal.SIGKILL
    assert "the facade was ended by SIGKILL" in output
    assert "service finished" in output


def test_a_signal_without_a_name_is_told_by_its_number() -> None:
    assert describe(-signal.SIGTERM) == "was ended by SIGTERM"
    assert describe(-(signal.SIGRTMIN + 1)) == f"was ended by signal {signal.SIGRTMIN + 1}"


def test_a_child_that_ends_unasked_without_an_error_is_a_failure(launch: Launch) -> None:
    launched = launch(service="", facade=OBEDIENT, ready=0)
    status, output = launched.end()
    assert status == 1
    assert "the service ended with exit status 0; stopping the facade too" in output


def test_a_child_that_fails_while_stopping_is_reported(launch: Launch) -> None:
    launched = launch(service=FAILING_LATE, facade=OBEDIENT)
    launched.signal(signal.SIGTERM)
    status, output = launched.end()
    assert status == 7
    assert "the service ended with exit status 7 while stopping." in output


def test_a_command_that_cannot_start_stops_what_has_started(processes: Processes) -> None:
    plan: dict[str, object] = {
        "children": {"service": UNPREPARED},
        "commands": {"facade": ["/no/such/program"]},
        "patience": 60,
        "same_request": 60,
    }
    launched = Launched(plan, processes)
    status, output = launched.end()
    assert status == 1
    assert "the facade cannot be started: No such file or directory: /no/such/program" in output


if sys.platform == "linux":  # elsewhere the system offers no such tie

    def test_a_launcher_that_is_killed_leaves_nothing_behind(launch: Launch) -> None:
        launched = launch(service=PATIENT, facade=PATIENT)
        launched.signal(signal.SIGKILL)
        status, output = launched.end()
        assert status == -signal.SIGKILL
        assert " finished" not in output

    def test_a_hang_up_that_nohup_has_it_ignore_does_not_stop_it(launch: Launch) -> None:
        launched = launch(service=OBEDIENT, facade=OBEDIENT, before=["nohup"])
        launched.signal(signal.SIGHUP)
        # Of two signals that wait together, the later one may be handled first.
        state = Path(f"/proc/{launched.process.pid}/status")
        eventually(lambda: re.search(r"ShdPnd:\s0+$", state.read_text(encoding="utf-8"), flags=re.MULTILINE))
        launched.signal(signal.SIGTERM)
        status, output = launched.end()
        assert status == 0
        assert "SIGTERM received" in output
        assert "SIGHUP" not in output
