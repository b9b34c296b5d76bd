"""Replies that are streams of events, to their last frame, and what the log says of them.

It does not know which call of the service the events come from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import web

from answerd.v1.event_pb2 import ResponseEvent
from common.logging import get_logger
from facade.chunks import ChunkWriter
from facade.errors import ApiError, internal_error
from facade.events import DONE, EventWriter
from facade.follow import Follower
from facade.request_context import NOTES, REQUEST_ID, Notes
from facade.sse import SseReply

log = get_logger("facade")


class Streams:
    """Sends streams. `keep_alive`: seconds."""

    def __init__(self, writer: EventWriter, keep_alive: float) -> None:
        self._writer, self._keep_alive = writer, keep_alive

    async def send(
        self, request: web.Request, follower: Follower, first: ResponseEvent | None, *, chunks: bool = False
    ) -> web.StreamResponse:
        """The reply with `first` and the events after it; without it, a stream that has nothing to tell.

        chunks: whether they are told as chunks.
        """
        writer = ChunkWriter() if chunks else self._writer
        async with SseReply(request, self._keep_alive) as reply:
            if first is not None:
                send = partial(_send_frame, reply, writer)
                await tell(follower, first, send, request[NOTES], request[REQUEST_ID])
            # Before the last frame, after which the client may leave and cancel whatever is still awaited.
            await follower.finish()
            await reply.send(DONE)
        note_end(request[NOTES], follower)
        return reply.response


async def _send_frame(reply: SseReply, writer: EventWriter | ChunkWriter, event: ResponseEvent) -> None:
    await reply.send(writer.frame(event))


async def tell(
    follower: Follower,
    first: ResponseEvent,
    send: Callable[[ResponseEvent], Awaitable[None]],
    notes: Notes,
    request_id: str,
) -> None:
    """Sends `first` and the events after it; of a stream that breaks off, those that say so. Raises ConnectionError
    if the client has left."""
    try:
        async for event in follower.events(first):
            await send(event)
    except ConnectionError:
        raise
    except Exception as error:
        # The client counts on a stream by now; the stream itself has to say how it ended.
        for event in follower.broken(noted(notes, error), request_id):
            await send(event)


def noted(notes: Notes, error: Exception) -> ApiError:
    """A failure in the middle of a stream, as the log has it."""
    known = error if isinstance(error, ApiError) else internal_error(repr(error))
    notes.update(reason=known.reason, detail=known.detail or None)
    if known is not error:
        log.error("a stream failed unexpectedly", exc_info=error)
    return known


def note_end(notes: Notes, follower: Follower) -> None:
    usage = follower.usage
    notes["events"] = follower.taken
    if usage is not None:
        notes.update(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
