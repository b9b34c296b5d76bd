"""The routes that tell whether this process lives and whether the service behind it is ready."""

from __future__ import annotations

import orjson
from aiohttp import web

from facade import VERSION
from facade.client import ServiceClient
from facade.errors import ApiError

SERVING = "SERVING"


class Health:
    """Asks the service anew for every request; nothing here can be out of date."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    async def livez(self, _: web.Request) -> web.Response:
        """GET /livez: 200 as long as this process answers."""
        return _json(200, {"status": "ok"})

    async def readyz(self, _: web.Request) -> web.Response:
        """GET /readyz: 200 once the service takes requests, else 503."""
        service = await self._client.health()
        if service != SERVING:
            raise ApiError("UNAVAILABLE", f"The service is not ready: {service}.")
        return _json(200, {"status": "ready"})

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: a summary; 200 if all is well, else 503."""
        service = await self._client.health()
        status = "ok" if service == SERVING else "unavailable"
        return _json(200 if service == SERVING else 503, {"status": status, "service": service, "version": VERSION})


def _json(status: int, value: dict[str, str]) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")
