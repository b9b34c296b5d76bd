"""The application: which route leads where. It opens no port."""

from __future__ import annotations

from aiohttp import web

from common.settings import Settings
from facade.client import ServiceClient
from facade.documents import serve_openapi, serve_page
from facade.drain import Drain
from facade.events import EventWriter
from facade.handlers import Handlers
from facade.health import Health
from facade.key_check import KeyCheck
from facade.parsing import Parsing
from facade.patience import Patience
from facade.websocket.door import WebSockets
from facade.websocket.turns import Turns


def make_app(settings: Settings, client: ServiceClient, drain: Drain, patience: Patience) -> web.Application:
    """All routes, over `client`."""
    app = web.Application(client_max_size=settings.max_body_bytes)
    keys, parsing = KeyCheck(client.check_key), Parsing()
    handlers = Handlers(
        client,
        drain,
        patience,
        keys,
        parsing,
        limit=settings.max_body_bytes,
        keep_alive=settings.keep_alive_ms / 1000,
        reasoning_events=settings.reasoning_events,
    )
    turns = Turns(client, parsing, EventWriter(settings.reasoning_events))
    websockets = WebSockets(turns, drain, patience, keys, settings)
    health = Health(client, drain)
    app.add_routes(
        [
            web.get("/v1/responses", websockets.connect, allow_head=False),
            web.post("/v1/responses", handlers.create_response),
            web.post("/v1/responses/compact", handlers.compact_response),
            web.post("/v1/responses/input_tokens", handlers.count_input_tokens),
            web.post("/v1/responses/{id}/cancel", handlers.cancel_response),
            web.get("/v1/responses/{id}/input_items", handlers.list_input_items),
            web.get("/v1/responses/{id}", handlers.get_response),
            web.delete("/v1/responses/{id}", handlers.delete_response),
            web.get("/v1/models", handlers.list_models),
            web.get("/v1/models/{id:.+}", handlers.get_model),
            web.get("/api-doc/openapi.json", serve_openapi),
            web.get("/docs", serve_page),
            web.get("/livez", health.livez),
            web.get("/readyz", health.readyz),
            web.get("/health", health.health),
        ]
    )
    return app
