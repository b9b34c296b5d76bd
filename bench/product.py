"""The whole product as its users start it: launcher, service and facade, on free ports, with a store of its own.

Knows how to start, find and stop it; what is asked of it is others' affair.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

from bench.sse_client import SseClient

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 120.0
STOP_SECONDS = 40.0
POLL_SECONDS = 0.02
LOG_TAIL = 2000
NAME = "answerd over SSE"


class ProductError(Exception):
    """The product did not start, or ended; the message has its last lines."""


@dataclass(frozen=True)
class Product:
    """A product that serves. `service`: the process that holds the model."""

    client: SseClient
    service: psutil.Process


@asynccontextmanager
async def running_product(gguf: Path, cache: Path, *settings: str, name: str = NAME) -> AsyncIterator[Product]:
    """Starts it with the defaults of its settings but for ports, model, cache, store and those given as flags. Raises
    ProductError."""
    with tempfile.TemporaryDirectory(prefix="answerd-bench-") as folder:
        log, http_port = Path(folder) / "log.txt", free_port()
        flags = {
            "--http-port": str(http_port),
            "--grpc-port": str(free_port()),
            "--model": str(gguf),
            "--cache-dir": str(cache),
            "--store": f"sqlite:///{folder}/store.db",
        }
        command = [sys.executable, "-m", "launcher", *(word for flag in flags.items() for word in flag), *settings]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=ROOT, env=plain_environ(os.environ), stdin=DEVNULL, stdout=output, stderr=STDOUT
            )
        try:
            async with client_session() as session:
                url = f"http://127.0.0.1:{http_port}"
                if not await until_ready(session, f"{url}/readyz", process):
                    raise ProductError(f"The product did not get ready:\n{tail(log)}")
                yield Product(SseClient(name, session, f"{url}/v1/responses"), _service_below(process.pid))
        finally:
            await _stop(process)


def plain_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without the user's settings, which would change what is measured."""
    kept = {name: value for name, value in environ.items() if not name.startswith("ANSWERD_")}
    return kept | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "proto")))}


def client_session() -> aiohttp.ClientSession:
    """Without a limit on connections or on the length of an answer. A connection serves one request: servers close idle
    ones at the moment they are used again."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None, sock_read=300),
    )


async def until_ready(session: aiohttp.ClientSession, url: str, process: Process) -> bool:
    """Waits until the address answers 200; False if the process ends first, or takes too long."""
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _is_ready(session, url):
                if process.returncode is not None:
                    return False
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False
    return True


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as reply:
            return reply.status == 200
    except aiohttp.ClientError:
        return False


def tail(log: Path) -> str:
    """The last lines of what a process printed."""
    return log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]


def _service_below(launcher: int) -> psutil.Process:
    for child in psutil.Process(launcher).children():
        if child.cmdline()[-2:] == ["-m", "service"]:
            return child
    raise ProductError("The launcher runs no process of the service.")


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
