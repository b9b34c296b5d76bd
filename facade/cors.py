"""Which web pages may call: the headers of the Fetch standard's CORS protocol. Off where no origin is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

METHODS = "GET, POST, DELETE"
EXPOSED = "x-request-id, retry-after"
# Browsers may remember a preflight for so many seconds.
MAX_AGE = "600"


class Cors:
    """Allows the web origins `origins`; `*` among them allows any."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, request: web.BaseRequest) -> dict[str, str]:
        """What every reply to `request` carries."""
        if not self._origins:
            return {}
        if "*" in self._origins:
            return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED}
        origin = request.headers.get("Origin", "")
        if origin not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": EXPOSED,
            "Vary": "Origin",
        }

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether the request may be answered where browsers do not ask first: no web page sent it, or one of this
        server's own, or one of an origin that is allowed."""
        origin = request.headers.get("Origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return True
        return origin.partition("://")[2] == request.headers.get("Host")

    def preflight(self, request: web.BaseRequest) -> web.Response | None:
        """The reply to a preflight request, None for any other request or where nobody is allowed."""
        asked = request.headers.get("Access-Control-Request-Method")
        if not self._origins or request.method != "OPTIONS" or asked is None:
            return None
        reply = web.Response(status=204)
        if "Access-Control-Allow-Origin" in self.headers(request):
            wanted = request.headers.get("Access-Control-Request-Headers", "authorization, content-type")
            reply.headers["Access-Control-Allow-Methods"] = METHODS
            reply.headers["Access-Control-Allow-Headers"] = wanted
            reply.headers["Access-Control-Max-Age"] = MAX_AGE
        return reply
