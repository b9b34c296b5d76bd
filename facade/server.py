"""The HTTP server: one port, the application behind it, and a stop that lets running requests finish.

aiohttp answers what is no HTTP by itself; here those answers get the envelope, too.
"""

from __future__ import annotations

import asyncio
import errno
from typing import Any

from aiohttp import web

from common.logging import get_logger
from common.settings import Settings
from facade.app import make_app
from facade.client import ServiceClient, open_channel
from facade.cors import Cors
from facade.drain import Drain
from facade.errors import ApiError, internal_error
from facade.guard import Guard
from facade.health import SERVING
from facade.patience import Patience
from facade.request_context import request_id_of

# Beyond the grace that the service gives to running responses: their last events have to travel.
MARGIN_SECONDS = 2.0
# What is still open after that is closed at once.
CLOSING_SECONDS = 0.2
# Between two questions whether the service is ready, while it starts.
ASKING_SECONDS = 0.2


class ListenError(Exception):
    """The port cannot be had; `str()` is one sentence that names the setting."""


class EnvelopeProtocol(web.RequestHandler):
    """One connection. What aiohttp cannot parse is answered in OpenAI's envelope, without its insides."""

    __slots__ = ("_head_timer",)

    def __init__(self, manager: web.Server, *, head_seconds: float, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._head_timer = self._loop.call_later(head_seconds, self._without_a_request)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_timer.cancel()
        super().connection_lost(exc)

    def _without_a_request(self) -> None:
        if self._request_count == 0:
            self.force_close()

    def log_exception(self, *args: Any, **kw: Any) -> None:
        # A body that cannot be decoded is the client's fault, and answered already.
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("the reply has begun already")
        error = _malformed(status, message)
        request_id = request_id_of(request.headers)
        log = get_logger("facade")
        if status >= 500:
            log.error("a request failed unexpectedly", request_id=request_id, exc_info=exc)
        else:
            log.info("request", request_id=request_id, status=status, reason=error.reason)
        headers = {**error.headers, "x-request-id": request_id, "Server": "answerd"}
        body = error.body(request_id)
        reply = web.Response(status=error.status, body=body, content_type="application/json", headers=headers)
        reply.force_close()
        return reply


class EnvelopeServer(web.Server):
    """Makes an EnvelopeProtocol for each connection."""

    def __call__(self) -> web.RequestHandler:
        return EnvelopeProtocol(self, loop=self._loop, **self._kwargs)


class GuardedRunner(web.AppRunner):
    """Runs an application behind a guard."""

    __slots__ = ("_guard", "_head_seconds")

    def __init__(self, app: web.Application, guard: Guard, head_seconds: float) -> None:
        # Without an access log: the guard writes one line a request. Cancellation: a client that leaves must stop the
        # generation at once.
        super().__init__(app, handler_cancellation=True, access_log=None, shutdown_timeout=CLOSING_SECONDS)
        self._guard = guard
        self._head_seconds = head_seconds

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler: Any = self._guard.wrap(made.request_handler)
        return EnvelopeServer(
            handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=asyncio.get_running_loop(),
            access_log=None,
            head_seconds=self._head_seconds,
        )


class Facade:
    """The facade of one service. `start`, then `stop`, on one event loop."""

    def __init__(self, settings: Settings, patience: Patience | None = None) -> None:
        patience = patience or Patience()
        self._settings = settings
        self._drain = Drain()
        self._channel = open_channel(settings.grpc_target)
        self._client = ServiceClient(self._channel)
        app = make_app(settings, self._client, self._drain, patience)
        guard = Guard(self._drain, Cors(settings.cors_origins), settings.max_body_bytes)
        app.on_response_prepare.append(guard.decorate)
        self._runner = GuardedRunner(app, guard, patience.head)

    async def start(self) -> None:
        """Listens. The service need not be there yet. Raises ListenError."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._settings.host, self._settings.http_port)
        try:
            await site.start()
        except OSError as error:
            await self._close()
            raise ListenError(_why(error, self._settings)) from None

    async def until_ready(self) -> None:
        """Returns once the service takes requests."""
        while True:
            if await self._client.health() == SERVING:
                return
            await asyncio.sleep(ASKING_SECONDS)

    async def stop(self) -> bool:
        """Lets running requests finish, refusing new ones, and closes. False if some had to be cut off."""
        finished = await self._drain.finish(self._settings.grace_seconds + MARGIN_SECONDS)
        await self._close()
        return finished

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._channel.close()


def _malformed(status: int, message: str | None) -> ApiError:
    if status >= 500:
        return internal_error(message or "")
    # The parser's message may quote the request over several lines; the first one says what is wrong.
    first = (message or "").strip().partition("\n")[0].rstrip(":")[:200]
    return ApiError(
        "MALFORMED_HTTP", f"The request is not valid HTTP: {first or 'it cannot be parsed'}.", status=status
    )


def _why(error: OSError, settings: Settings) -> str:
    port, host = settings.http_port, settings.host
    if error.errno == errno.EADDRINUSE:
        return f"ANSWERD_HTTP_PORT: port {port} on {host} is already in use."
    if error.errno == errno.EACCES:
        return f"ANSWERD_HTTP_PORT: port {port} on {host} is not allowed to this user."
    return f"ANSWERD_HOST: {host} cannot be listened on ({error.strerror or error})."
