"""The benchmark's end of the protocol: starts an engine as a process, asks it, and ends it.

Knows no engine.
"""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.prompts import Prompt
from bench.protocol import Stream, decode_streams

CLOSING_SECONDS = 30.0
LONGEST_LINE = 2**20


class PeerError(Exception):
    """A peer did not start, ended, or could not do what it was asked."""


class Peer:
    """An engine in a process of its own. `version`: what it says it is."""

    def __init__(self, name: str, process: Process) -> None:
        self.name = name
        self.version = ""
        self._process = process

    @classmethod
    async def start(cls, name: str, command: Sequence[str], cwd: Path, environ: Mapping[str, str]) -> Self:
        """Returns when the peer is ready. Raises PeerError if it does not get there."""
        process = await asyncio.create_subprocess_exec(
            *command, cwd=cwd, env=environ, stdin=PIPE, stdout=PIPE, limit=LONGEST_LINE
        )
        peer = cls(name, process)
        try:
            peer.version = str((await peer._next())["ready"])
        except BaseException:
            await peer.close()
            raise
        return peer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The answer to one command. Raises PeerError with the peer's own words if it failed."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"command": command, **arguments}).encode() + b"\n")
        with suppress(ConnectionError):  # the peer has ended, and the next line says so
            await self._process.stdin.drain()
        answer = await self._next()
        if "error" in answer:
            raise PeerError(f"{self.name}: {answer['error']}")
        return answer

    async def generate(
        self, prompts: Sequence[Prompt], max_tokens: int, sampling: Mapping[str, Any] = {}
    ) -> list[Stream]:
        """All prompts at once; the times are the peer's own. sampling: of a peer that takes it, else greedy."""
        tokens = [prompt.tokens for prompt in prompts]
        return decode_streams(await self.ask("generate", prompts=tokens, max_tokens=max_tokens, **sampling))

    async def close(self) -> None:
        """Ends the process: by the end of its input, and by force if it does not go."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), CLOSING_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _next(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            status = await self._process.wait()
            raise PeerError(f"{self.name} ended with status {status}; its last lines above say why.")
        answer: dict[str, Any] = json.loads(line)
        return answer
