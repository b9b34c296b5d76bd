"""The routes under /v1: each reads its request, makes one call of the service and writes the reply.

They do not know how failures look; whatever they raise becomes an envelope elsewhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_items_pb2 import ListInputItemsRequest
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.model_pb2 import GetModelRequest
from answerd.v1.response_pb2 import Response
from answerd.v1.stored_response_pb2 import DeleteResponseRequest, GetResponseRequest
from common.logging import get_logger
from facade.blame import clients_words
from facade.body import parse_object, read_body
from facade.client import EventStream, ServiceClient
from facade.create_request import read_create_request, read_keys
from facade.drain import Drain
from facade.errors import NO_RETRY, REASON_OF_CODE, ApiError, internal_error, malformed_json
from facade.events import DONE, EventWriter
from facade.follow import Follower, first_event
from facade.key_check import KeyCheck
from facade.patience import Patience
from facade.query import read_query
from facade.request_context import NOTES, REQUEST_ID, metadata_of
from facade.sse import SseReply
from facade.writer import write_model, write_page, write_whole_response

# Reading a body of this size would hold up the streams of others for some milliseconds.
LARGE_BODY = 256 * 1024
T = TypeVar("T")


class Handlers:
    """The routes under /v1. `limit`: the largest body in bytes. `keep_alive`: seconds."""

    def __init__(
        self,
        client: ServiceClient,
        drain: Drain,
        patience: Patience,
        *,
        limit: int,
        keep_alive: float,
        reasoning_events: Literal["openai", "openresponses"] = "openai",
    ) -> None:
        self._client = client
        self._drain = drain
        self._patience = patience
        self._keys = KeyCheck(client.check_key)
        self._one_large_body = asyncio.Semaphore(1)
        self._limit = limit
        self._keep_alive = keep_alive
        self._writer = EventWriter(reasoning_events)
        self._log = get_logger("facade")

    async def create_response(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/responses"""
        wanted = await self._read(request, read_create_request)
        request[NOTES]["stream"] = wanted.stream
        async with self._client.create(wanted.message, metadata_of(request)) as stream:
            with clients_words(wanted.keys):
                first = await first_event(stream)
            _note_response(request, first)
            if wanted.stream:
                return await self._stream(request, stream, first)
            return await self._fold(request, stream, first)

    async def get_response(self, request: web.Request) -> web.Response:
        """GET /v1/responses/{id}"""
        if request.query.get("stream", "false") != "false":
            sentence = "Unsupported parameter: 'stream' is not supported for stored responses by this server."
            raise ApiError("UNSUPPORTED_PARAMETER", sentence, "stream")
        message = GetResponseRequest()
        read_query(request.query, message)
        message.id = _path_id(request, "Response with ID '{}' not found.", "RESPONSE_NOT_FOUND")
        return _json(write_whole_response(await self._client.get(message, metadata_of(request))))

    async def delete_response(self, request: web.Request) -> web.Response:
        """DELETE /v1/responses/{id}"""
        response_id = _path_id(request, "Response with ID '{}' not found.", "RESPONSE_NOT_FOUND")
        reply = await self._client.delete(DeleteResponseRequest(id=response_id), metadata_of(request))
        return _json({"id": reply.id, "object": "response.deleted", "deleted": reply.deleted})

    async def list_input_items(self, request: web.Request) -> web.Response:
        """GET /v1/responses/{id}/input_items"""
        message = ListInputItemsRequest()
        read_query(request.query, message)
        message.id = _path_id(request, "Response with ID '{}' not found.", "RESPONSE_NOT_FOUND")
        return _json(write_page(await self._client.list_input_items(message, metadata_of(request))))

    async def count_input_tokens(self, request: web.Request) -> web.Response:
        """POST /v1/responses/input_tokens"""
        message = CountInputTokensRequest()
        keys = await self._read(request, lambda body: read_keys(body, message))
        with clients_words(keys):
            reply = await self._client.count_input_tokens(message, metadata_of(request))
        return _json({"object": "response.input_tokens", "input_tokens": reply.input_tokens})

    async def list_models(self, request: web.Request) -> web.Response:
        """GET /v1/models"""
        models = await self._client.list_models(metadata_of(request))
        return _json({"object": "list", "data": [write_model(model) for model in models.data]})

    async def get_model(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}"""
        model_id = _path_id(request, "The model '{}' does not exist.", "MODEL_NOT_FOUND")
        return _json(write_model(await self._client.get_model(GetModelRequest(id=model_id), metadata_of(request))))

    async def not_yet(self, request: web.Request) -> web.Response:
        """Routes of the API that this version lacks."""
        raise ApiError("UNKNOWN_ROUTE", f"{request.method} {request.path} is not served by this version.")

    async def _read(self, request: web.Request, read: Callable[[dict[str, Any]], T]) -> T:
        self._refuse_while_stopping()
        await self._keys.admit(metadata_of(request))
        with self._drain.waiting_for_client():
            body = await read_body(request, self._limit, self._patience.body)
        self._refuse_while_stopping()
        if len(body) <= LARGE_BODY:
            return _parse(body, read)
        async with self._one_large_body:
            return await asyncio.to_thread(_parse, body, read)

    def _refuse_while_stopping(self) -> None:
        if self._drain.stopping:
            raise ApiError("UNAVAILABLE", "The server is stopping. Try again in a moment.")

    async def _stream(self, request: web.Request, stream: EventStream, first: ResponseEvent) -> web.StreamResponse:
        follower = Follower(stream)
        async with SseReply(request, self._keep_alive) as reply:
            try:
                async for event in follower.events(first):
                    await reply.send(self._writer.frame(event))
            except ConnectionError:
                raise
            except Exception as error:
                # The status is sent already; the stream itself has to say how it ended.
                broken = self._noted(request, error)
                for event in follower.broken(broken, request[REQUEST_ID]):
                    await reply.send(self._writer.frame(event))
            # Before the last frame, after which the client may leave and cancel whatever is still awaited.
            if follower.ended:
                await stream.finish()
            await reply.send(DONE)
        _note_end(request, follower)
        return reply.response

    async def _fold(self, request: web.Request, stream: EventStream, first: ResponseEvent) -> web.Response:
        follower = Follower(stream)
        fault: ResponseEvent | None = None
        reason: str | None = None
        last = first
        try:
            async for last in follower.events(first):
                fault = last if last.HasField("error") else fault
        except ApiError as error:
            reason = error.reason
            fault, last = follower.broken(self._noted(request, error), request[REQUEST_ID])
        if follower.ended:
            await stream.finish()
        _note_end(request, follower)
        if last.HasField("failed"):
            raise _failure(last.failed.response, fault, reason)
        return _json(write_whole_response(getattr(last, last.WhichOneof("event") or "").response))

    def _noted(self, request: web.Request, error: Exception) -> ApiError:
        """A failure in the middle of a stream, as the log has it."""
        known = error if isinstance(error, ApiError) else internal_error(repr(error))
        request[NOTES].update(reason=known.reason, detail=known.detail or None)
        if known is not error:
            self._log.error("a stream failed unexpectedly", exc_info=error)
        return known


def _parse(body: bytes, read: Callable[[dict[str, Any]], T]) -> T:
    try:
        return read(parse_object(body))
    except (RecursionError, ValueError):
        # Nothing that a body holds may look like a fault of this process.
        raise malformed_json() from None


def _failure(response: Response, fault: ResponseEvent | None, reason: str | None) -> ApiError:
    """A failed response as an error, by the `error` event that came before it; `reason` where it is known."""
    code = fault.error.code if fault is not None else ""
    reason = reason or REASON_OF_CODE.get(code, "MODEL_ERROR")
    message = fault.error.message if fault is not None else response.error.message
    param = fault.error.param if fault is not None and fault.error.HasField("param") else None
    # A repeated request would not be the same response once more, but a second one.
    headers = {} if reason == "UNAVAILABLE" else NO_RETRY
    return ApiError(reason, message, param, headers=headers, response=write_whole_response(response))


def _note_response(request: web.Request, first: ResponseEvent) -> None:
    request[NOTES]["response_id"] = first.created.response.id or None


def _note_end(request: web.Request, follower: Follower) -> None:
    notes, usage = request[NOTES], follower.usage
    notes["events"] = follower.last.sequence_number + 1 if follower.last is not None else 0
    if usage is not None:
        notes.update(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)


def _path_id(request: web.Request, sentence: str, reason: str) -> str:
    """The id in the path. One that no string of the contract can hold is the id of nothing."""
    text: str = request.match_info["id"]
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ApiError(reason, sentence.format(text.encode(errors="replace").decode())) from None
    return text


def _json(value: Any) -> web.Response:
    return web.Response(body=orjson.dumps(value), content_type="application/json")
