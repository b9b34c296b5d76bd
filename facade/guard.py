"""What holds for every request: an id, one log line, and OpenAI's envelope around whatever goes wrong.

It does not know what the routes do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from common.logging import get_logger, request_context
from facade.cors import Cors
from facade.drain import Drain
from facade.errors import ApiError, internal_error, request_too_large
from facade.request_context import NOTES, REQUEST_ID, Notes, request_id_of

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

CREATE = "/v1/responses"
CHAT_ROUTES = ("/v1/chat/completions", "/v1/completions")
PROBES = ("/livez", "/readyz", "/health")
# How a log line says that the client was gone before the reply; never sent.
CLIENT_LEFT = 499


class Guard:
    """Wraps the handler of all requests. `limit`: the largest body in bytes."""

    def __init__(self, drain: Drain, cors: Cors, limit: int) -> None:
        self._drain = drain
        self._cors = cors
        self._limit = limit
        self._log = get_logger("facade")

    def wrap(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            request[REQUEST_ID] = request_id_of(request.headers)
            request[NOTES] = Notes()
            with self._drain.request(), request_context(request[REQUEST_ID]):
                return await self._serve(request, handler)

        return guarded

    async def decorate(self, request: web.Request, reply: web.StreamResponse) -> None:
        """Puts the headers on a reply that every reply has, streams included; the signal before it is sent."""
        reply.headers["x-request-id"] = request[REQUEST_ID]
        reply.headers["Server"] = "answerd"
        reply.headers.update(self._cors.headers(request))
        if self._drain.stopping:
            reply.force_close()
            reply.headers["Connection"] = "close"

    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        status = CLIENT_LEFT
        try:
            preflight = self._cors.preflight(request)
            if preflight is not None:
                # No route takes it, so the signal does not reach it.
                await self.decorate(request, preflight)
            reply = preflight or await self._reply(request, handler)
            status = reply.status
            return reply
        finally:
            self._note(request, status, time.perf_counter() - started)

    async def _reply(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except ApiError as error:
            return self._envelope(request, error)
        except web.HTTPException as error:
            return self._envelope(request, self._of_http(request, error))
        except web.RequestPayloadError as error:
            message = "The body of your request cannot be decoded."
            return self._envelope(request, ApiError("MALFORMED_HTTP", message, detail=repr(error)))
        except Exception as error:
            self._log.exception("a request failed unexpectedly")
            return self._envelope(request, internal_error(repr(error)))
        finally:
            request[NOTES]["route"] = _route(request)

    def _envelope(self, request: web.Request, error: ApiError) -> web.Response:
        request[NOTES].update(reason=error.reason, param=error.param, detail=error.detail or None)
        body = error.body(request[REQUEST_ID])
        reply = web.Response(status=error.status, body=body, content_type="application/json", headers=error.headers)
        if error.reason == "REQUEST_TIMEOUT":
            # The rest of the body may come at any time, or never.
            reply.force_close()
        return reply

    def _of_http(self, request: web.Request, error: web.HTTPException) -> ApiError:
        """What aiohttp refused by itself."""
        where = f"{request.method} {request.path[:200]}"
        match error:
            case web.HTTPNotFound():
                hint = f" Use POST {CREATE}." if request.path in CHAT_ROUTES else " /docs shows all that there are."
                return ApiError("UNKNOWN_ROUTE", f"Unknown route: {where}.{hint}")
            case web.HTTPMethodNotAllowed():
                return _method_not_allowed(request, where, sorted(error.allowed_methods))
            case web.HTTPRequestEntityTooLarge():
                return request_too_large(self._limit)
        if error.status >= 500:
            return internal_error(error.reason)
        return ApiError("MALFORMED_HTTP", f"The server cannot take this request: {error.reason}.", status=error.status)

    def _note(self, request: web.Request, status: int, seconds: float) -> None:
        level = self._log.debug if request.path in PROBES else self._log.warning if status >= 500 else self._log.info
        extras = {key: value for key, value in request[NOTES].items() if value is not None}
        level(
            "request",
            method=request.method,
            path=request.rel_url.raw_path,
            status=status,
            duration_ms=round(seconds * 1000, 1),
            **extras,
        )


def _route(request: web.Request) -> str | None:
    """The path's pattern, by which lines can be counted; None for a path that leads nowhere."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else None


def _method_not_allowed(request: web.Request, where: str, allowed: list[str]) -> ApiError:
    message = f"Method not allowed: {where}. Allowed: {', '.join(allowed)}."
    return ApiError("METHOD_NOT_ALLOWED", message, headers={"Allow": ", ".join(allowed)})
