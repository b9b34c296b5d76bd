"""llama.cpp's own server as a system to compare with: the same file, threads and slots, asked over `/v1/responses`.

Knows how to start and stop it; it is asked by the client that asks the product.
"""

from __future__ import annotations

import asyncio
import tempfile
from asyncio.subprocess import STDOUT
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.machine import cores
from bench.peer import PeerError
from bench.product import client_session, free_port, tail, until_ready
from bench.sse_client import SseClient

NAME = "llama.cpp's server"
CONTEXT = 4096  # tokens of a slot, as in the product's default
STOP_SECONDS = 20.0


@asynccontextmanager
async def running_llama_server(server: Path, gguf: Path, slots: int) -> AsyncIterator[SseClient]:
    """Starts it, and ends it. Raises PeerError if it does not get ready."""
    with tempfile.TemporaryDirectory(prefix="answerd-bench-") as folder:
        log, port = Path(folder) / "log.txt", free_port()
        command = [str(server), "--model", str(gguf), "--host", "127.0.0.1", "--port", str(port)]
        command += ["--threads", str(cores()), "--parallel", str(slots), "--ctx-size", str(slots * CONTEXT)]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=STDOUT)
        try:
            async with client_session() as session:
                url = f"http://127.0.0.1:{port}"
                if not await until_ready(session, f"{url}/health", process):
                    raise PeerError(f"{NAME} did not get ready:\n{tail(log)}")
                yield SseClient(NAME, session, f"{url}/v1/responses")
        finally:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
