"""The whole daemon as a user starts it: the launcher with its two processes, on ports and files of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

from tests.docs.markdown import ROOT

# What each process says when it takes requests.
READY = ("HTTP: listening on ", "serving ")
STOP_SECONDS = 30


@dataclass(frozen=True)
class Daemon:
    """Where a running daemon listens on 127.0.0.1."""

    http_port: int
    grpc_port: int

    def here(self, text: str) -> str:
        """A text of the documentation with the default ports replaced by these."""
        return text.replace("127.0.0.1:8080", f"127.0.0.1:{self.http_port}").replace(
            "127.0.0.1:50051", f"127.0.0.1:{self.grpc_port}"
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"


@contextmanager
def run_daemon(folder: Path, cache: Path, settings: Mapping[str, str]) -> Iterator[Daemon]:
    """Yields it when it serves; afterwards it must stop cleanly. `folder` gets its store and is where it runs."""
    http_port, grpc_port = _free_ports()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ANSWERD_")}
    environ |= {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'proto'}",
        "ANSWERD_HTTP_PORT": str(http_port),
        "ANSWERD_GRPC_PORT": str(grpc_port),
        "ANSWERD_CACHE_DIR": str(cache),
        "ANSWERD_STORE": f"sqlite:///{folder / 'store.db'}",
        **settings,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "launcher"],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            _wait_until_ready(process.stdout)
            # Whatever it logs from now on must be read, or it would wait for the pipe.
            Thread(target=process.stdout.read, daemon=True).start()
            yield Daemon(http_port, grpc_port)
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(STOP_SECONDS)
    assert status == 0, f"the launcher ended with {status}"


def _wait_until_ready(output: IO[str]) -> None:
    missing, said = set(READY), []
    for line in output:
        said.append(line)
        missing -= {sign for sign in missing if sign in line}
        if not missing:
            return
    raise AssertionError("the daemon ended before it served:\n" + "".join(said[-20:]))


def _free_ports() -> tuple[int, int]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        first, second = (int(probe.getsockname()[1]) for probe in probes)
        return first, second
