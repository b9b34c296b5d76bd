"""One SSE reply: frames in single writes, and comments while it is silent. It does not know what the frames say.

The framing is that of the HTML standard, with line feeds only. A frame must leave in one write, since strict clients
forget half an event at the end of each network read.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self

from aiohttp import web

from facade.events import KEEP_ALIVE

HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class SseReply:
    """An open stream to the client that sent `request`, with a comment after `keep_alive` silent seconds.

    As a context manager it sends the headers, and ends the body if nothing was raised within.
    """

    def __init__(self, request: web.Request, keep_alive: float) -> None:
        self.response = web.StreamResponse(headers=HEADERS)
        self._request = request
        self._keep_alive = keep_alive
        self._loop = asyncio.get_running_loop()
        self._spoke_at = self._loop.time()
        self._pulse: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.response.prepare(self._request)
        self._pulse = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._pulse is not None
        self._pulse.cancel()
        if kind is None:
            await self.response.write_eof()

    async def send(self, frame: bytes) -> None:
        """Sends one whole frame; waits while the client is slow. Raises ConnectionError if it has left."""
        self._spoke_at = self._loop.time()
        await self.response.write(frame)

    async def _beat(self) -> None:
        # A write that fails means that the client has left, which the handler is told in its own way.
        with suppress(ConnectionError):
            while True:
                silence = self._loop.time() - self._spoke_at
                if silence >= self._keep_alive:
                    await self.send(KEEP_ALIVE)
                    silence = 0.0
                await asyncio.sleep(self._keep_alive - silence)
