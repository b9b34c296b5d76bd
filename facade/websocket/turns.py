"""One turn of a WebSocket: a message in, the events of a response out, or one error event.

It knows neither the connection nor what else waits on it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from answerd.v1.event_pb2 import ResponseEvent
from common.logging import get_logger
from facade.blame import clients_words
from facade.client import Metadata, ServiceClient
from facade.create_request import CreateRequest
from facade.errors import ApiError, Fault, internal_error
from facade.events import EventWriter
from facade.follow import Follower, first_event
from facade.parsing import Parsing
from facade.request_context import Notes
from facade.streams import note_end, tell
from facade.websocket.memory import Memory, Turn
from facade.websocket.message import read_create_message

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
ITEM = re.compile(r"input\[(\d+)\](\.content\[0\])?")

log = get_logger("facade")


@dataclass(frozen=True)
class Asked:
    """A message with what surrounds it. `metadata`: of the call of the service. `notes`: for the log line."""

    message: bytes | ApiError
    request_id: str
    metadata: Metadata
    notes: Notes


class Turns:
    """Answers messages, of all connections."""

    def __init__(self, client: ServiceClient, parsing: Parsing, writer: EventWriter) -> None:
        self._client, self._parsing, self._writer = client, parsing, writer

    async def answer(self, asked: Asked, memory: Memory, send: Send) -> None:
        """Sends all that there is to say to a message. Raises ConnectionError if the client has left."""
        continued: object = None

        def read(body: dict[str, Any]) -> CreateRequest:
            nonlocal continued
            continued = body.get("previous_response_id")
            return read_create_message(body)

        try:
            if isinstance(asked.message, ApiError):
                raise asked.message
            await self._run(await self._parsing.parse(asked.message, read), asked, memory, send)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            memory.forget(continued)
            await send(_refusal(error, asked.notes).event(asked.request_id))

    async def _run(self, wanted: CreateRequest, asked: Asked, memory: Memory, send: Send) -> None:
        turn = memory.resume(wanted.message)

        async def send_event(event: ResponseEvent) -> None:
            if message := self._writer.message(event):
                await send(message)

        async with self._client.create(turn.request, asked.metadata) as stream:
            with clients_words(wanted.keys), _own_items(turn, wanted):
                first = await first_event(stream)
            asked.notes["response_id"] = first.created.response.id or None
            follower = Follower(stream)
            await tell(follower, first, send_event, asked.notes, asked.request_id)
            # Whoever has the last event may leave, and cancel whatever is still awaited.
            asked.notes["status"] = 200
            note_end(asked.notes, follower)
            await follower.finish()
        memory.keep(turn, follower.response)


def _refusal(error: Exception, notes: Notes) -> ApiError:
    known = error if isinstance(error, ApiError) else internal_error(repr(error))
    notes.update(status=known.status, reason=known.reason, param=known.param, detail=known.detail or None)
    if known is not error:
        log.exception("a turn failed unexpectedly")
    return known


@contextmanager
def _own_items(turn: Turn, wanted: CreateRequest) -> Iterator[None]:
    """The service counts the remembered items before the client's own; the client is told of its own alone."""
    try:
        yield
    except ApiError as error:
        if turn.earlier == 0:
            raise
        is_text = wanted.message.input.WhichOneof("form") == "text"

        def own(words: str) -> str:
            return ITEM.sub(lambda found: "input" if is_text else _item(found, turn.earlier), words)

        faults = [Fault(fault.reason, own(fault.message), own(fault.param)) for fault in error.faults]
        param = None if error.param is None else own(error.param)
        raise ApiError(
            error.reason,
            own(error.message),
            param,
            retry_after=error.retry_after,
            faults=faults,
            detail=error.detail,
        ) from None


def _item(found: re.Match[str], earlier: int) -> str:
    return f"input[{int(found[1]) - earlier}]{found[2] or ''}"
