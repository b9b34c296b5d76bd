"""No process outlives its test."""

import subprocess
import sys

import pytest

from tests.support.processes import Processes

ENDLESS = [sys.executable, "-c", "print('here', flush=True); input()"]


def test_what_still_runs_is_killed_and_its_pipes_are_closed() -> None:
    with Processes() as processes:
        first, second = (processes.start(ENDLESS, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2))
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
    assert [first.returncode, second.returncode] == [-9, -9]
    assert first.stdout.closed


def test_a_test_that_is_cut_off_leaves_no_process() -> None:
    left: list[subprocess.Popen[str]] = []

    def cut_off() -> None:
        with Processes() as processes:
            left.append(processes.start(ENDLESS, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
            raise TimeoutError

    with pytest.raises(TimeoutError):
        cut_off()
    assert left[0].returncode == -9


def test_a_process_that_has_ended_keeps_its_status() -> None:
    with Processes() as processes:
        ended = processes.start([sys.executable, "-c", "raise SystemExit(3)"])
        assert ended.wait(60) == 3
    assert ended.returncode == 3
