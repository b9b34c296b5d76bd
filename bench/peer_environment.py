"""`python -m bench.peer_environment`: a virtual environment in `bench/peers`, with llama.cpp built for this machine.

Made from `bench/peers.lock`, once; knows nothing of what it is compared with.
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
from pathlib import Path

HERE = Path(__file__).parent
BUILD_FLAGS = {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}
# Without the cache, which may hold a build for another machine or with other flags.
PIP_OPTIONS = (
    "--no-cache-dir",
    "--no-deps",
    "--no-input",
    "--disable-pip-version-check",
    "--no-binary",
    "llama-cpp-python",
)
LAST_LINES = 15

Run = Callable[[Sequence[str]], None]


class PeerBuildError(Exception):
    """The environment could not be made; the message has the last lines of what failed."""


def run_quietly(command: Sequence[str]) -> None:
    """Raises PeerBuildError with the command's last lines if it fails."""
    done = subprocess.run(
        command,
        env={**os.environ, **BUILD_FLAGS},
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
) -> Path:
    """The environment's Python, after making the environment where it is missing, half-made or of another lock.

    Raises PeerBuildError.
    """
    python, record = folder / "bin" / "python", folder / "built-from.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent / f".{folder.name}.lock"):
        if not record.is_file() or record.read_text(encoding="utf-8") != digest:
            say("Building llama.cpp for this machine, once; this takes some minutes ...")
            shutil.rmtree(folder, ignore_errors=True)
            run([sys.executable, "-m", "venv", str(folder)])
            run([str(python), "-m", "pip", "install", *PIP_OPTIONS, "-r", str(lock)])
            record.write_text(digest, encoding="utf-8")
    return python


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
