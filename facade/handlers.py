"""The routes under /v1: each reads its request, makes one call of the service and writes the reply.

They do not know how failures look; whatever they raise becomes an envelope elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import orjson
from aiohttp import web

from answerd.v1.compaction_pb2 import CompactResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_items_pb2 import ListInputItemsRequest
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest
from answerd.v1.model_pb2 import GetModelRequest
from answerd.v1.response_pb2 import Response
from answerd.v1.stored_response_pb2 import (
    CancelResponseRequest,
    DeleteResponseRequest,
    GetResponseRequest,
    StreamResponseRequest,
)
from facade.blame import clients_words
from facade.body import read_body
from facade.client import ServiceClient
from facade.create_request import COMPACT_HINTS, CreateRequest, read_create_request, read_keys
from facade.drain import Drain
from facade.errors import NO_RETRY, REASON_OF_CODE, ApiError
from facade.events import EventWriter
from facade.follow import Follower, first_event
from facade.key_check import KeyCheck
from facade.parsing import Parsing
from facade.patience import Patience
from facade.query import read_query
from facade.request_context import NOTES, REQUEST_ID, check_idempotency_key, metadata_of
from facade.stored_query import read_stored_query
from facade.streams import Streams, note_end, noted
from facade.writer import write_compacted, write_model, write_page, write_whole_response

T = TypeVar("T")


class Handlers:
    """The routes under /v1. `limit`: the largest body in bytes. `keep_alive`: seconds."""

    def __init__(
        self,
        client: ServiceClient,
        drain: Drain,
        patience: Patience,
        keys: KeyCheck,
        parsing: Parsing,
        *,
        limit: int,
        keep_alive: float,
        reasoning_events: Literal["openai", "openresponses"] = "openai",
    ) -> None:
        self._client = client
        self._drain = drain
        self._patience = patience
        self._keys, self._parsing = keys, parsing
        self._limit = limit
        self._streams = Streams(EventWriter(reasoning_events), keep_alive)

    async def create_response(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/responses"""
        check_idempotency_key(request.headers)
        wanted = await self._read(request, read_create_request)
        request[NOTES]["stream"] = wanted.stream
        async with self._client.create(wanted.message, metadata_of(request)) as stream:
            with clients_words(wanted.keys):
                first = await first_event(stream)
            _note_response(request, first)
            if first.created.response.background:
                await stream.finish()
                return await self._background(request, first, wanted)
            if wanted.stream:
                return await self._streams.send(request, Follower(stream), first, chunks=wanted.chunks)
            return await self._fold(request, Follower(stream), first)

    async def get_response(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/responses/{id}"""
        message = read_stored_query(request.query, _response_id(request))
        if isinstance(message, StreamResponseRequest):
            return await self._replay(request, message)
        return _json(write_whole_response(await self._client.get(message, metadata_of(request))))

    async def cancel_response(self, request: web.Request) -> web.Response:
        """POST /v1/responses/{id}/cancel"""
        message = CancelResponseRequest(id=_response_id(request))
        reply = await self._client.cancel(message, metadata_of(request))
        return _json(write_whole_response(reply))

    async def delete_response(self, request: web.Request) -> web.Response:
        """DELETE /v1/responses/{id}"""
        message = DeleteResponseRequest(id=_response_id(request))
        reply = await self._client.delete(message, metadata_of(request))
        return _json({"id": reply.id, "object": "response.deleted", "deleted": reply.deleted})

    async def list_input_items(self, request: web.Request) -> web.Response:
        """GET /v1/responses/{id}/input_items"""
        message = ListInputItemsRequest()
        read_query(request.query, message)
        message.id = _response_id(request)
        return _json(write_page(await self._client.list_input_items(message, metadata_of(request))))

    async def count_input_tokens(self, request: web.Request) -> web.Response:
        """POST /v1/responses/input_tokens"""
        message = CountInputTokensRequest()
        keys = await self._read(request, lambda body: read_keys(body, message))
        with clients_words(keys):
            reply = await self._client.count_input_tokens(message, metadata_of(request))
        return _json({"object": "response.input_tokens", "input_tokens": reply.input_tokens})

    async def compact_response(self, request: web.Request) -> web.Response:
        """POST /v1/responses/compact"""
        message = CompactResponseRequest()
        keys = await self._read(request, lambda body: read_keys(body, message, COMPACT_HINTS))
        with clients_words(keys):
            reply = await self._client.compact(message, metadata_of(request))
        request[NOTES].update(input_tokens=reply.usage.input_tokens, output_tokens=reply.usage.output_tokens)
        return _json(write_compacted(reply))

    async def list_models(self, request: web.Request) -> web.Response:
        """GET /v1/models"""
        models = await self._client.list_models(metadata_of(request))
        return _json({"object": "list", "data": [write_model(model) for model in models.data]})

    async def get_model(self, request: web.Request) -> web.Response:
        """GET /v1/models/{id}"""
        model_id = _path_id(request, "The model '{}' does not exist.", "MODEL_NOT_FOUND")
        return _json(write_model(await self._client.get_model(GetModelRequest(id=model_id), metadata_of(request))))

    async def _read(self, request: web.Request, read: Callable[[dict[str, Any]], T]) -> T:
        self._refuse_while_stopping()
        await self._keys.admit(metadata_of(request))
        with self._drain.waiting_for_client():
            body = await read_body(request, self._limit, self._patience.body)
        self._refuse_while_stopping()
        return await self._parsing.parse(body, read)

    def _refuse_while_stopping(self) -> None:
        if self._drain.stopping:
            raise ApiError("UNAVAILABLE", "The server is stopping. Try again in a moment.")

    async def _background(
        self, request: web.Request, created: ResponseEvent, wanted: CreateRequest
    ) -> web.StreamResponse:
        response = created.created.response
        if not wanted.stream:
            return _json(write_whole_response(response))
        message = StreamResponseRequest(id=response.id, starting_after=created.sequence_number)
        async with self._client.follow(message, metadata_of(request)) as stream:
            return await self._streams.send(request, Follower(stream), created, chunks=wanted.chunks)

    async def _replay(self, request: web.Request, message: StreamResponseRequest) -> web.StreamResponse:
        # What a part of a stream does not tell of the response is needed if the rest of it breaks off.
        known = await self._client.get(GetResponseRequest(id=message.id), metadata_of(request))
        request[NOTES].update(response_id=known.id, stream=True)
        async with self._client.follow(message, metadata_of(request)) as stream:
            return await self._streams.send(request, Follower(stream, known), await stream.read())

    async def _fold(self, request: web.Request, follower: Follower, first: ResponseEvent) -> web.Response:
        fault: ResponseEvent | None = None
        reason: str | None = None
        last = first
        try:
            async for last in follower.events(first):
                fault = last if last.HasField("error") else fault
        except ApiError as error:
            reason = error.reason
            for last in follower.broken(noted(request[NOTES], error), request[REQUEST_ID]):
                fault = last if last.HasField("error") else fault
        await follower.finish()
        note_end(request[NOTES], follower)
        if last.HasField("failed"):
            raise _failure(last.failed.response, fault, reason)
        return _json(write_whole_response(getattr(last, last.WhichOneof("event") or "").response))


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


def _response_id(request: web.Request) -> str:
    return _path_id(request, "Response with ID '{}' not found.", "RESPONSE_NOT_FOUND")


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
