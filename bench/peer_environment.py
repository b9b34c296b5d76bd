"""`python -m bench.peer_environment`: llama.cpp in `bench/peers`, built for this machine: its library and its server.

Made from `bench/peers.lock`, once: the sources are those that llama-cpp-python comes with, compiled a single time, and
the Python package finds the library there. Knows nothing of what it is compared with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.machine import cores

HERE = Path(__file__).parent
PACKAGE = "llama-cpp-python"
# What the package would compile is compiled here, together with the server.
WITHOUT_LIBRARY = {"CMAKE_ARGS": "-DLLAMA_BUILD=OFF"}
BUILD_FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
)
# Without the cache, which may hold a build for another machine or with other flags.
PIP_OPTIONS = ("--no-cache-dir", "--no-deps", "--no-input", "--disable-pip-version-check", "--no-binary", PACKAGE)
LAST_LINES = 15

Run = Callable[[Sequence[str]], None]


class PeerBuildError(Exception):
    """The environment could not be made; the message has the last lines of what failed."""


@dataclass(frozen=True)
class Peers:
    """What was built. python: one with llama-cpp-python. libraries: the folder of libllama. server: llama-server."""

    python: Path
    libraries: Path
    server: Path


def run_quietly(command: Sequence[str]) -> None:
    """Raises PeerBuildError with the command's last lines if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **WITHOUT_LIBRARY},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stdout.splitlines()[-LAST_LINES:])
        raise PeerBuildError(f"{last}\nllama.cpp could not be built; it needs a C++ compiler and CMake.")


def ensure_peers(
    folder: Path = HERE / "peers" / "llama.cpp",
    lock: Path = HERE / "peers.lock",
    run: Run = run_quietly,
    say: Callable[[str], None] = print,
) -> Peers:
    """What was built, after building it where it is missing, half-made or of another lock. Raises PeerBuildError."""
    peers = Peers(folder / "bin" / "python", folder / "build" / "bin", folder / "build" / "bin" / "llama-server")
    record = folder / "built-from.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent / f".{folder.name}.lock"):
        if not record.is_file() or record.read_text(encoding="utf-8") != digest:
            say("Building llama.cpp for this machine, once; this takes some minutes ...")
            shutil.rmtree(folder, ignore_errors=True)
            for command in _commands(folder, peers.python, lock):
                run(command)
            record.write_text(digest, encoding="utf-8")
    return peers


def _commands(folder: Path, python: Path, lock: Path) -> Iterator[Sequence[str]]:
    """What makes the environment, one after the other: a command is asked for when the one before has run."""
    sources, build = folder / "sources", folder / "build"
    pip = (str(python), "-m", "pip")
    yield [sys.executable, "-m", "venv", str(folder)]
    yield [*pip, "install", *PIP_OPTIONS, "-r", str(lock)]
    [pinned] = [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith(PACKAGE)]
    yield [*pip, "download", *PIP_OPTIONS, "--dest", str(sources), pinned]
    [archive] = sources.glob("*.tar.gz")
    yield ["tar", "-xzf", str(archive), "-C", str(sources), "--strip-components", "1"]
    yield ["cmake", "-S", str(sources / "vendor" / "llama.cpp"), "-B", str(build), *BUILD_FLAGS]
    yield ["cmake", "--build", str(build), "--parallel", str(cores()), "--target", "llama-server"]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits until no other process makes the environment; the file lies beside it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Returns the exit status."""
    try:
        print(f"ready: {ensure_peers()}")
    except PeerBuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
