"""answerd as its users run it: the launcher as a process, with the service and the facade below it, and its log.

It knows what the processes print and where they listen, not what the API says.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import IO, TypeVar

import httpx2
import psutil

from launcher.ports import why_not

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"
LAUNCHER = (sys.executable, "-m", "launcher")
START_SECONDS = 90.0
STOP_SECONDS = 30.0
# Below the ports that the system gives to outgoing connections, so that none of those takes one between the look and
# the bind.
PORTS = range(20_000, 32_000)

Found = TypeVar("Found")


def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return next(port for port in random.sample(PORTS, 100) if why_not(HOST, port) is None)


def clean_environ(settings: Mapping[str, object]) -> dict[str, str]:
    """This process's environment without settings of its own, and with these, named without their prefix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANSWERD_", "KEEP_ALIVE"))}
    return inherited | {f"ANSWERD_{name.upper()}": str(value) for name, value in settings.items()}


def run_to_end(
    module: str, settings: Mapping[str, object], environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One of the processes, run until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", module],
        env=clean_environ({"log_format": "json", **settings}) | dict(environ or {}),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


class Log:
    """The lines of a process, read as they come; a test can wait for one."""

    def __init__(self, stream: IO[str]) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._stream = stream
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str, seconds: float = START_SECONDS) -> str:
        """The first line with `text` in it."""
        with self._changed:
            if self._changed.wait_for(lambda: self._find(text) is not None, seconds):
                return self._find(text) or ""
        raise AssertionError(f"no line of the log says {text!r}:\n{self}")

    def close(self) -> None:
        """Reads what is left; for a process that has ended."""
        self._reader.join(STOP_SECONDS)
        self._stream.close()

    def __str__(self) -> str:
        return "".join(self.lines)

    def _find(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self.lines.append(line)
                self._changed.notify_all()


class Server:
    """One running answerd. `settings` are named as in Settings; ports are found if not among them. `output`: a
    descriptor for what it prints, instead of `log`. `command`: what starts it in `folder`. `environ`: variables beside
    the settings.

    Always to be closed; `running` sees to that.
    """

    def __init__(
        self,
        settings: Mapping[str, object],
        output: int = subprocess.PIPE,
        command: Sequence[str] = LAUNCHER,
        folder: Path = ROOT,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.settings = {"http_port": unused_port(), "grpc_port": unused_port(), "log_format": "json", **settings}
        self.url = f"http://{HOST}:{self.settings['http_port']}"
        self.grpc_target = f"{HOST}:{self.settings['grpc_port']}"
        self._process = subprocess.Popen(
            command,
            env=clean_environ(self.settings) | dict(environ or {}),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.log = Log(self._process.stdout or StringIO())

    @property
    def store_path(self) -> Path:
        return Path(str(self.settings["store"]).removeprefix("sqlite:///"))

    def wait_until_ready(self) -> None:
        """Returns when /readyz says so. Fails if the processes end before."""
        deadline = time.monotonic() + START_SECONDS
        with httpx2.Client() as client:
            while not self._is_ready(client):
                assert time.monotonic() < deadline, f"not ready in time:\n{self.log}"
                # The pause between two questions is at once the wait for an early end.
                with suppress(subprocess.TimeoutExpired):
                    status = self._process.wait(0.05)
                    raise AssertionError(f"the start ended with status {status}:\n{self.log}")

    def pid_of(self, name: str) -> int:
        """The process id of `service` or `facade`."""
        children = psutil.Process(self._process.pid).children(recursive=True)
        return next(child.pid for child in children if child.cmdline()[-2:] == ["-m", name])

    def terminate(self) -> None:
        """Asks it to stop, as a service manager does."""
        self._process.send_signal(signal.SIGTERM)

    def interrupt(self) -> None:
        """Sends what Ctrl-C on a terminal does: one signal to every process of the group."""
        os.killpg(self._process.pid, signal.SIGINT)

    def wait(self) -> int:
        """The exit status, when it has stopped."""
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Stops it, and gives the exit status."""
        self.terminate()
        return self.wait()

    def close(self) -> None:
        """Leaves no process and no pipe behind, whatever happened, be it that a test's time is up meanwhile."""
        try:
            with suppress(ProcessLookupError):
                self.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.wait()
        finally:
            self._kill()
            self.log.close()

    def _kill(self) -> None:
        if self._process.poll() is None:
            launcher = psutil.Process(self._process.pid)
            for process in [*launcher.children(recursive=True), launcher]:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            self._process.wait()

    def _is_ready(self, client: httpx2.Client) -> bool:
        try:
            return client.get(f"{self.url}/readyz").status_code == 200
        except httpx2.TransportError:
            return False


@contextmanager
def running(settings: Mapping[str, object]) -> Iterator[Server]:
    """A server that is ready; afterwards it has to stop cleanly."""
    server = Server(settings)
    try:
        server.wait_until_ready()
        yield server
        assert server.stop() == 0, f"it did not stop cleanly:\n{server.log}"
    finally:
        server.close()


def eventually(find: Callable[[], Found | None], seconds: float = 10.0) -> Found:
    """What `find` gives, as soon as it gives something; for states that nobody announces."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while (found := find()) is None:
        assert time.monotonic() < deadline, "it never happened"
        pause.wait(0.02)
    return found
