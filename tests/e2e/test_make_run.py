"""`make run` itself, in a checkout where it has run before: what it does not do again, and how it ends."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from launcher.environment import Environment
from tests.e2e.api import STORY, Api
from tests.e2e.conftest import Fleet, Start
from tests.e2e.stored import statuses
from tests.support.server import ROOT, Server

PARTS = ("common", "facade", "inference", "launcher", "proto", "service", "Makefile")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This one's files, and an environment that is said to be in order: its Python is the one that runs the tests."""
    for part in (*PARTS, *(lock.name for lock in ROOT.glob("*.lock"))):
        (tmp_path / part).symlink_to(ROOT / part)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    Environment(tmp_path, install=lambda *_: None, say=lambda _: None).ensure(["runtime"])
    # The tests may themselves run under make, whose variables would reach this one.
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS", "CUDA"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def files_below(folder: Path) -> dict[str, int]:
    """Every file, with when it was last written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def ended_well(server: Server) -> bool:
    """Whether the launcher says that both processes have ended as they should."""
    server.log.close()
    return "answerd: stopped." in str(server.log)


def test_a_second_run_installs_nothing_converts_nothing_and_a_signal_to_make_stops_both(
    start: Start, fleet: Fleet, checkout: Path
) -> None:
    before = files_below(checkout / ".venv") | files_below(fleet.cache)
    began = time.perf_counter()
    server = start(make_in=checkout)
    print(f"from `make run` to ready: {time.perf_counter() - began:.1f} s")
    for work in ("Installing", "converting"):
        assert work not in str(server.log)
    assert files_below(checkout / ".venv") | files_below(fleet.cache) == before
    with Api(server.url) as api, api.stream(input=STORY, max_output_tokens=40) as stream:
        stream.read_text(1)
        server.terminate()
        assert stream.read_to_end().end["usage"]["output_tokens"] == 40
    server.wait()
    assert ended_well(server)
    assert statuses(server.store_path) == {stream.id: "incomplete"}


def test_ctrl_c_stops_both_and_lets_a_running_stream_finish(start: Start, checkout: Path) -> None:
    server = start(make_in=checkout)
    with Api(server.url) as api, api.stream(input=STORY, max_output_tokens=40) as stream:
        stream.read_text(1)
        server.interrupt()
        assert stream.read_to_end().end["usage"]["output_tokens"] == 40
    assert server.wait() == -signal.SIGINT
    assert ended_well(server)


def test_a_facade_that_dies_takes_the_service_with_it_and_the_end_says_why(start: Start, checkout: Path) -> None:
    server = start(make_in=checkout)
    with Api(server.url) as api, api.stream(input=STORY, max_output_tokens=3000) as stream:
        stream.read_text(1)
        os.kill(server.pid_of("facade"), signal.SIGKILL)
        assert server.wait() != 0
    server.log.close()
    assert "the facade was ended by SIGKILL" in str(server.log)
    assert "stopping the service too" in str(server.log)
    assert "the service ended" not in str(server.log)
    # Nobody reads any more; what there was is kept.
    assert statuses(server.store_path) == {stream.id: "cancelled"}
