"""The peers' own environment is built once, and again when its lock file changes."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.peer_environment import PeerBuildError, ensure_peers, run_quietly


class Builder:
    """Notes the commands instead of running them; `fail` makes the installation break."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran: list[list[str]] = []
        self.fail = False

    def __call__(self, command: Sequence[str]) -> None:
        self.ran.append(list(command))
        if command[1:3] == ["-m", "venv"]:
            (self.folder / "bin").mkdir(parents=True)
        elif self.fail:
            raise PeerBuildError("no compiler")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "peers.lock"
    path.write_text("engine==1\n")
    return path


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "peers" / "engine")


def ensure(builder: Builder, lock: Path) -> Path:
    return ensure_peers(builder.folder, lock, builder, lambda line: None)


def test_the_environment_is_made_once(builder: Builder, lock: Path) -> None:
    assert ensure(builder, lock) == ensure(builder, lock) == builder.folder / "bin" / "python"
    assert [command[1:4] for command in builder.ran] == [
        ["-m", "venv", str(builder.folder)],
        ["-m", "pip", "install"],
    ]
    assert builder.ran[1][-2:] == ["-r", str(lock)]


def test_another_lock_file_makes_it_anew(builder: Builder, lock: Path) -> None:
    ensure(builder, lock)
    (builder.folder / "old").touch()
    lock.write_text("engine==2\n")
    ensure(builder, lock)
    assert len(builder.ran) == 4
    assert not (builder.folder / "old").exists()


def test_a_build_that_failed_is_tried_again(builder: Builder, lock: Path) -> None:
    builder.fail = True
    with pytest.raises(PeerBuildError):
        ensure(builder, lock)
    builder.fail = False
    ensure(builder, lock)
    assert len(builder.ran) == 4


def test_a_failure_shows_the_last_lines() -> None:
    with pytest.raises(PeerBuildError, match=r"line 49\nllama.cpp could not be built"):
        run_quietly([sys.executable, "-c", "for i in range(50): print('line', i)\nraise SystemExit(1)"])
