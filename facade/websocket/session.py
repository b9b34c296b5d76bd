"""One WebSocket from its handshake to its close: what is read waits in the inbox and is answered one by one.

It does not know what messages say.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable
from contextlib import suppress
from typing import NamedTuple

from aiohttp import WSCloseCode, WSMsgType, web

from common.logging import get_logger, request_context
from common.request_id import is_request_id
from facade.drain import Drain
from facade.errors import ApiError
from facade.guard import CLIENT_LEFT
from facade.patience import Patience
from facade.request_context import NOTES, REQUEST_ID, Notes, metadata_of
from facade.websocket.inbox import Inbox
from facade.websocket.memory import Memory
from facade.websocket.turns import Asked, Turns

# How long the client's half of a close is waited for.
CLOSING_SECONDS = 1.0
LIMIT = ApiError(
    "WEBSOCKET_CONNECTION_LIMIT_REACHED",
    "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue.",
)
# Of one connection, not of each turn: a key of the handshake would make all turns the first one.
NOT_OF_A_TURN = frozenset({"x-request-id", "idempotency-key"})

log = get_logger("facade")


class Farewell(NamedTuple):
    """How the server ends a connection: an error event, if it is one, and the close."""

    code: WSCloseCode
    words: str
    error: ApiError | None = None


OVER = Farewell(WSCloseCode.OK, "")
TIME_IS_UP = Farewell(WSCloseCode.OK, "The connection has reached its limit of 60 minutes.", LIMIT)
STOPPING = Farewell(WSCloseCode.GOING_AWAY, "The server is stopping.")
BROKEN = Farewell(WSCloseCode.INTERNAL_ERROR, "Internal error")


class Session:
    """Serves one connection. `limit`: the largest message in bytes. `ping`: seconds between two pings."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse[bool],
        turns: Turns,
        drain: Drain,
        patience: Patience,
        limit: int,
        ping: float,
    ) -> None:
        self._request, self._socket = request, socket
        self._turns, self._drain, self._patience = turns, drain, patience
        self._limit, self._ping = limit, ping
        self._inbox = Inbox(limit)
        self._memory = Memory()
        self._farewell = OVER
        self._count = 0
        self._metadata = [(name, value) for name, value in metadata_of(request) if name not in NOT_OF_A_TURN]

    async def serve(self) -> None:
        """Returns when the connection is closed, by whomever. Raises nothing of its own: the reply is sent already."""
        try:
            with self._drain.waiting_for_client():
                farewell = await self._talk_until_the_end()
        finally:
            self._request[NOTES]["turns"] = self._count
        with suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                if farewell.error is not None and not self._socket.closed:
                    await self._send(farewell.error.event(self._request[REQUEST_ID]))
                await self._socket.close(code=farewell.code, message=farewell.words.encode())

    async def _talk_until_the_end(self) -> Farewell:
        """The client leaves, or has been silent for too long; or the last answer is given."""
        talking = asyncio.create_task(self._talk())
        reading = asyncio.create_task(self._read())
        watching = [
            asyncio.create_task(self._beat()),
            asyncio.create_task(self._end_after(self._patience.sleep(self._patience.connection), TIME_IS_UP)),
            asyncio.create_task(self._end_after(self._drain.until_stopping(), STOPPING)),
        ]
        try:
            await asyncio.wait({talking, reading}, return_when=asyncio.FIRST_COMPLETED)
            return self._farewell if talking.done() else OVER
        finally:
            for task in (talking, reading, *watching):
                task.cancel()
            await asyncio.gather(talking, reading, *watching, return_exceptions=True)

    async def _read(self) -> None:
        """Reads until the client is gone."""
        with suppress(TimeoutError):
            while (message := await self._socket.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await self._inbox.put(self._judged(message.data, is_text=message.type is WSMsgType.TEXT))

    def _judged(self, data: bytes, *, is_text: bool) -> bytes | ApiError:
        if not is_text:
            return ApiError("MALFORMED_JSON", "A message must be text, not binary.")
        if len(data) > self._limit:
            message = f"Your message is larger than {self._limit} bytes."
            return ApiError("REQUEST_TOO_LARGE", message, detail="the limit is ANSWERD_MAX_BODY_BYTES")
        return data

    async def _talk(self) -> None:
        """Answers until it is time to end, or the client has left."""
        try:
            while (message := await self._inbox.get()) is not None:
                with self._drain.request():
                    await self._turn(message)
        except ConnectionError:
            pass
        except Exception:
            log.exception("a WebSocket failed unexpectedly")
            self._farewell = BROKEN

    async def _turn(self, message: bytes | ApiError) -> None:
        self._count += 1
        request_id = f"{self._request[REQUEST_ID]}-{self._count}"
        if not is_request_id(request_id):
            request_id = f"req_{uuid.uuid4().hex}"
        asked = Asked(message, request_id, [("x-request-id", request_id), *self._metadata], Notes(status=CLIENT_LEFT))
        started = time.perf_counter()
        with request_context(request_id, connection=self._request[REQUEST_ID]):
            try:
                await self._turns.answer(asked, self._memory, self._send)
            finally:
                self._note(asked.notes, time.perf_counter() - started)

    def _note(self, notes: Notes, seconds: float) -> None:
        extras = {key: value for key, value in notes.items() if value is not None}
        level = log.warning if notes["status"] in range(500, 600) else log.info
        level("turn", duration_ms=round(seconds * 1000, 1), **extras)

    async def _send(self, message: bytes) -> None:
        await self._socket.send_frame(message, WSMsgType.TEXT)

    async def _beat(self) -> None:
        with suppress(ConnectionError):
            while True:
                await asyncio.sleep(self._ping)
                await self._socket.ping()

    async def _end_after(self, event: Awaitable[object], farewell: Farewell) -> None:
        await event
        self._farewell = farewell
        await self._inbox.close()
