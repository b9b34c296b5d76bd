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
from facade.request_context import request_id_of

# Beyond the grace that the service gives to running responses: their last events have to travel.
MARGIN_SECONDS = 2.0
# What is still open after that is closed at once.
CLOSING_SECONDS = 0.2


class ListenError(Exception):
    """The port cannot be had; `str()` is one sentence that names the setting."""


class EnvelopeProtocol(web.RequestHandler):
    """One connection. What aiohttp cannot parse is answered in OpenAI's envelope, without its insides."""

    __slots__ = ()

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

    __slots__ = ("_guard",)

    def __init__(self, app: web.Application, guard: Guard) -> None:
        # Without an access log: the guard writes one line a request. Cancellation: a client that leaves must stop the
        # generation at once.
        super().__init__(app, handler_cancellation=True, access_log=None, shutdown_timeout=CLOSING_SECONDS)
        self._guard = guard

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        handler: Any = self._guard.wrap(made.request_handler)
        return EnvelopeServer(
            handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=asyncio.get_running_loop(),
            access_log=None,
        )


class Facade:
    """The facade of one service. `start`, then `stop`, on one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._drain = Drain()
        self._channel = open_channel(settings.grpc_target)
        app = make_app(settings, ServiceClient(self._channel))
        guard = Guard(self._drain, Cors(settings.cors_origins), settings.max_body_bytes)
        app.on_response_prepare.append(guard.decorate)
        self._runner = GuardedRunner(app, guard)
        self._site: web.TCPSite | None = None

    async def start(self) -> None:
        """Listens. The service need not be there yet. Raises ListenError."""
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self._settings.host, self._settings.http_port)
        try:
            await self._site.start()
        except OSError as error:
            await self._close()
            raise ListenError(_why(error, self._settings)) from None

    async def stop(self) -> bool:
        """Stops listening, lets running requests finish and closes. False if some had to be cut off."""
        if self._site is not None:
            await self._site.stop()
        finished = await self._drain.wait(self._settings.grace_seconds + MARGIN_SECONDS)
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
