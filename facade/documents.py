"""What tells of the API itself: the OpenAPI document as JSON, and a page that shows it. It knows no service.

The document is written in openapi.yaml, the page in docs.html, which asks this server for the document and nobody else
for anything.
"""

from __future__ import annotations

import asyncio
from functools import cache
from importlib.resources import files
from typing import Any

import orjson
import yaml
from aiohttp import web

# The page has one script and one style, both within it, and talks to this server only.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A new version of the server must not be shown with the document of an old one.
ASK_AGAIN = {"Cache-Control": "no-cache"}


@cache
def openapi_document() -> Any:
    """The OpenAPI document, parsed; to be left as it is. Reads a file."""
    return yaml.safe_load(_read("openapi.yaml"))


@cache
def _document() -> bytes:
    return orjson.dumps(openapi_document())


@cache
def _page() -> bytes:
    return _read("docs.html")


async def serve_openapi(_: web.Request) -> web.Response:
    """GET /api-doc/openapi.json"""
    body = await asyncio.to_thread(_document)
    return web.Response(body=body, content_type="application/json", headers=ASK_AGAIN)


async def serve_page(_: web.Request) -> web.Response:
    """GET /docs"""
    headers = {**ASK_AGAIN, "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
    body = await asyncio.to_thread(_page)
    return web.Response(body=body, content_type="text/html", charset="utf-8", headers=headers)


def _read(name: str) -> bytes:
    return files("facade").joinpath(name).read_bytes()
