"""A conversation over a WebSocket, every message of the server checked: its form, its events and their order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import aiohttp

from tests.support.event_order import TERMINAL
from tests.support.openresponses import validate_websocket_error
from tests.support.replies import check_part_of_stream, check_whole_stream

SECONDS = 60


class Talk:
    """Over an open connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def ask(self, body: dict[str, Any] | None = None, **keys: Any) -> list[dict[str, Any]]:
        """What the server answers to one `response.create`."""
        await self.send(body, **keys)
        return await self.hear()

    async def send(self, body: dict[str, Any] | None = None, **keys: Any) -> None:
        await self.socket.send_json({"type": "response.create", **(body or {}), **keys})

    async def hear(self, begin: Iterable[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        """All of one answer, of which `begin` was heard already: events up to the terminal one, or an error event."""
        events = list(begin)
        while not events or events[-1]["type"] not in TERMINAL:
            events.append(await self.hear_one())
            if "status" in events[-1]:
                assert len(events) == 1, "an error event within a response"
                return events
        check_whole_stream(events)
        return events

    async def hear_one(self) -> dict[str, Any]:
        """The next message."""
        message = await asyncio.wait_for(self.socket.receive(), SECONDS)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        event: dict[str, Any] = json.loads(message.data)
        if "status" in event:
            validate_websocket_error(event)
            assert event["error"].keys() >= {"code", "message", "type", "param"}
        else:
            check_part_of_stream([event])
        return event

    async def refusal(self, body: dict[str, Any] | None = None, **keys: Any) -> tuple[int, str, str | None]:
        """Status, code and param of the error event that answers."""
        (event,) = await self.ask(body, **keys)
        return event["status"], event["error"]["code"], event["error"]["param"]

    def abort(self) -> None:
        """Vanishes without a word."""
        connection = self.socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()

    async def end(self) -> int | None:
        """Waits until the server closes; the code of the close."""
        message = await asyncio.wait_for(self.socket.receive(), SECONDS)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return self.socket.close_code
