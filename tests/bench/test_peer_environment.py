"""The peers' own environment is built once, and again when its lock file changes."""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.peer_environment import PeerBuildError, Peers, ensure_peers, run_quietly

COMMANDS = 6  # from the virtual environment to the build


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
        elif "download" in command:
            (self.folder / "sources").mkdir()
            (self.folder / "sources" / "llama.tar.gz").touch()
        elif command[0] == "cmake" and self.fail:
            raise PeerBuildError("no compiler")


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "peers.lock"
    path.write_text("llama-cpp-python==1\nnumpy==1\n")
    return path


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(tmp_path / "peers" / "engine")


def ensure(builder: Builder, lock: Path) -> Peers:
    return ensure_peers(builder.folder, lock, builder, lambda line: None)


def test_the_environment_is_made_once(builder: Builder, lock: Path) -> None:
    peers = ensure(builder, lock)
    assert ensure(builder, lock) == peers
    assert peers.python == builder.folder / "bin" / "python"
    assert peers.server.parent == peers.libraries == builder.folder / "build" / "bin"
    assert [command[0] for command in builder.ran[-3:]] == ["tar", "cmake", "cmake"]
    assert len(builder.ran) == COMMANDS


def test_library_and_server_are_compiled_from_the_sources_of_the_pinned_package(builder: Builder, lock: Path) -> None:
    ensure(builder, lock)
    [download] = [command for command in builder.ran if "download" in command]
    assert download[-1] == "llama-cpp-python==1"
    assert [command[-1] for command in builder.ran if "--target" in command] == ["llama-server"]


def test_another_lock_file_makes_it_anew(builder: Builder, lock: Path) -> None:
    ensure(builder, lock)
    (builder.folder / "old").touch()
    lock.write_text("llama-cpp-python==2\n")
    ensure(builder, lock)
    assert len(builder.ran) == 2 * COMMANDS
    assert not (builder.folder / "old").exists()


def test_a_build_that_failed_is_tried_again(builder: Builder, lock: Path) -> None:
    builder.fail = True
    with pytest.raises(PeerBuildError):
        ensure(builder, lock)
    builder.fail = False
    ensure(builder, lock)
    assert builder.ran[-COMMANDS][1:3] == ["-m", "venv"]


def test_a_failure_shows_the_last_lines() -> None:
    with pytest.raises(PeerBuildError, match=r"line 49\nllama.cpp could not be built"):
        run_quietly([sys.executable, "-c", "for i in range(50): print('line', i)\nraise SystemExit(1)"])
