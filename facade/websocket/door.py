"""GET /v1/responses: who may open a WebSocket, and its handshake. What is said on it is none of its business."""

from __future__ import annotations

import logging

from aiohttp import web

from common.settings import Settings
from facade.cors import Cors
from facade.drain import Drain
from facade.errors import ApiError
from facade.key_check import KeyCheck
from facade.patience import Patience
from facade.request_context import metadata_of
from facade.websocket.session import CLOSING_SECONDS, Session
from facade.websocket.turns import Turns

# It warns of every subprotocol, in the client's words; here they are ignored.
logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
# A message may be so many times too long and is still refused by an event; a longer one ends the connection.
SLACK = 2


class WebSockets:
    """The route. Of the settings: the largest message, the pause between pings, and whose pages may connect."""

    def __init__(self, turns: Turns, drain: Drain, patience: Patience, keys: KeyCheck, settings: Settings) -> None:
        self._turns, self._drain, self._patience, self._keys = turns, drain, patience, keys
        self._cors = Cors(settings.cors_origins)
        self._limit = settings.max_body_bytes
        self._ping = settings.keep_alive_ms / 1000

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/responses; what is wrong is a usual reply, and no connection."""
        if request.headers.get("Upgrade", "").strip().lower() != "websocket":
            message = "Method not allowed: GET /v1/responses, but as a WebSocket. Allowed: POST."
            raise ApiError("METHOD_NOT_ALLOWED", message, headers={"Allow": "POST"})
        if self._drain.stopping:
            raise ApiError("UNAVAILABLE", "The server is stopping. Try again in a moment.")
        if not self._cors.admits(request):
            message = "Web pages of this origin may not connect; ANSWERD_CORS_ORIGINS names those that may."
            raise ApiError("ORIGIN_NOT_ALLOWED", message)
        await self._keys.admit(metadata_of(request))
        socket = await self._shake_hands(request)
        await Session(request, socket, self._turns, self._drain, self._patience, self._limit, self._ping).serve()
        return socket

    async def _shake_hands(self, request: web.Request) -> web.WebSocketResponse[bool]:
        socket = web.WebSocketResponse(
            timeout=CLOSING_SECONDS,
            receive_timeout=self._ping + self._patience.silence,
            # The session answers a close itself, once it has ended what runs.
            autoclose=False,
            # Deltas are short, and the model needs the time that packing them would take.
            compress=False,
            max_msg_size=SLACK * self._limit,
            # What is no UTF-8 is refused like any other message that is no JSON.
            decode_text=False,
        )
        try:
            await socket.prepare(request)
        except web.HTTPBadRequest as error:
            raise ApiError("MALFORMED_HTTP", f"This is no handshake of a WebSocket: {error.text}.") from None
        return socket
