"""The routes that tell whether this process lives and whether the service behind it is ready."""

from __future__ import annotations

import orjson
from aiohttp import web

from facade import VERSION
from facade.client import ServiceClient
from facade.drain import Drain
from facade.errors import ApiError

SERVING = "SERVING"
# Of the facade alone: its service may serve others still.
STOPPING = "STOPPING"


class Health:
    """Asks the service anew for every request; nothing here can be out of date."""

    def __init__(self, client: ServiceClient, drain: Drain) -> None:
        self._client = client
        self._drain = drain

    async def livez(self, _: web.Request) -> web.Response:
        """GET /livez: 200 as long as this process answers."""
        return _json(200, {"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """GET /readyz: 200 once the service takes requests and until the server stops, else 503."""
        service = await self._state()
        if service != SERVING:
            raise ApiError("UNAVAILABLE", f"The service is not ready: {service}.")
        return _json(200, {"status": "ready"})

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: a summary; 200 if all is well, else 503."""
        service = await self._state()
        status = "ok" if service == SERVING else "unavailable"
        return _json(200 if service == SERVING else 503, {"status": status, "service": service, "version": VERSION})

    async def _state(self) -> str:
        return STOPPING if self._drain.stopping else await self._client.health()


def _json(status: int, value: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
