"""The methods of ResponsesService: who calls is asked of the interceptor, the work is done by the parts named here.

It raises ServiceError and the errors of store and engine; the interceptor turns them into a status.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc

from answerd.v1.compaction_pb2 import CompactedResponse, CompactResponseRequest
from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.input_items_pb2 import ListInputItemsRequest, ListInputItemsResponse
from answerd.v1.input_tokens_pb2 import CountInputTokensRequest, CountInputTokensResponse
from answerd.v1.model_pb2 import GetModelRequest, ListModelsRequest, ListModelsResponse, Model
from answerd.v1.response_pb2 import Response, ResponseStatus
from answerd.v1.responses_service_pb2_grpc import ResponsesServiceServicer
from answerd.v1.stored_response_pb2 import (
    CancelResponseRequest,
    DeleteResponseRequest,
    DeleteResponseResponse,
    GetResponseRequest,
    StreamResponseRequest,
)
from service.admission import Admission
from service.background import Background
from service.calls import current_call
from service.compaction import Compactor
from service.errors import not_cancellable, previous_response_not_found, response_not_found, unavailable
from service.generation import RunningResponse
from service.idempotency import IdempotencyKey, IdempotencyKeys, key_of
from service.input_items import input_page
from service.models.catalogue import Models
from service.recovery import LAST_WRITE_FAILED, fail_record
from service.replay import replayed
from service.running import RunningResponses
from service.store import IN_PROGRESS, ParentNotFound, Record, Replay, Store
from service.stored import input_of, response_of
from service.validate import check_include, check_page, check_stream

Context = grpc.aio.ServicerContext[Any, Any]


class ResponsesServicer(ResponsesServiceServicer):
    """Answers for the models, once the first is there. New responses are taken between `open` and `close`."""

    def __init__(self, store: Store, running: RunningResponses, admission: Admission, background: Background) -> None:
        self._store, self._running, self._admission, self._background = store, running, admission, background
        self._compactor = Compactor(admission)
        self._keys = IdempotencyKeys(store, running)
        self._models: Models | None = None
        self._closed = False

    def open(self, models: Models) -> None:
        self._models = models

    def close(self) -> None:
        """From now on new responses are refused; those that are stored can still be got."""
        self._closed = True

    @property
    def is_open(self) -> bool:
        return self._models is not None and not self._closed

    async def CreateResponse(self, request: CreateResponseRequest, context: Context) -> AsyncIterator[ResponseEvent]:
        if self._closed:
            raise unavailable()
        call = current_call()
        key = await key_of(call.owner, request, context.invocation_metadata() or ())
        running = await self._begun(call.owner, request, key)
        if isinstance(running, Replay):
            for event in replayed(running):
                yield event
                if request.background:
                    break
            return
        try:
            # Closed here and not by the garbage collector: a caller that left frees its slot at once.
            async with aclosing(running.events()) as events:
                async for event in events:
                    yield event
                    if running.is_background:
                        break
        except ParentNotFound:
            # Deleted between the reading of the history and the writing of the record.
            raise previous_response_not_found(request.previous_response_id) from None
        finally:
            call.note(**running.facts())

    async def _begun(
        self, owner: str, request: CreateResponseRequest, key: IdempotencyKey | None
    ) -> RunningResponse | Replay:
        """A new response, or the one that the key has already. What runs must be read before anything is waited for."""
        if key is None:
            return await self._admission.admit(owner, request, self._served())
        async with self._keys.turn(key):
            known = await self._keys.find(key)
            if known is None:
                return await self._admission.admit(owner, request, self._served(), key)
        return await self._replay(owner, known) if isinstance(known, str) else known

    async def GetResponse(self, request: GetResponseRequest, context: Context) -> Response:
        check_include(request.include)
        owner = current_call().owner
        running = self._running.find(owner, request.id)
        snapshot = await running.snapshot() if running is not None else None
        return snapshot or await self._stored_response(owner, request.id)

    async def DeleteResponse(self, request: DeleteResponseRequest, context: Context) -> DeleteResponseResponse:
        # Goes on if the caller leaves meanwhile: a response without its record is not to run.
        deleting = self._background.start(self._delete(current_call().owner, request.id))
        if not await asyncio.shield(deleting):
            raise response_not_found(request.id)
        return DeleteResponseResponse(id=request.id, deleted=True)

    async def _delete(self, owner: str, id: str) -> bool:
        deleted = await self._store.delete(owner, id)
        if deleted:
            self._running.discard(id)
        return deleted

    async def ListModels(self, request: ListModelsRequest, context: Context) -> ListModelsResponse:
        return ListModelsResponse(data=self._served().cards())

    async def GetModel(self, request: GetModelRequest, context: Context) -> Model:
        return self._served().card(request.id)

    async def CancelResponse(self, request: CancelResponseRequest, context: Context) -> Response:
        owner = current_call().owner
        running = self._running.find(owner, request.id, hidden=True)
        if running is None:
            ended = await self._stored_response(owner, request.id)
            if not (ended.background or ended.status == ResponseStatus.RESPONSE_STATUS_CANCELLED):
                raise not_cancellable()
            return ended
        if not running.outlives_callers:
            raise not_cancellable()
        return await running.cancel()

    async def StreamResponse(self, request: StreamResponseRequest, context: Context) -> AsyncIterator[ResponseEvent]:
        check_stream(request)
        owner, after = current_call().owner, request.starting_after if request.HasField("starting_after") else -1
        running = self._running.find(owner, request.id)
        if running is not None:
            async for event in running.follow(after):
                yield event
            return
        replay = await self._replay(owner, request.id)
        if replay.record.hidden:
            raise response_not_found(request.id)
        for event in replayed(replay):
            if event.sequence_number > after:
                yield event

    async def ListInputItems(self, request: ListInputItemsRequest, context: Context) -> ListInputItemsResponse:
        check_page(request)
        record = await self._record(current_call().owner, request.id)
        return input_page(record.id, input_of(record).items, request)

    async def CountInputTokens(self, request: CountInputTokensRequest, context: Context) -> CountInputTokensResponse:
        tokens = await self._admission.prompts.count(current_call().owner, request, self._served())
        return CountInputTokensResponse(input_tokens=tokens)

    async def CompactResponse(self, request: CompactResponseRequest, context: Context) -> CompactedResponse:
        if self._closed:
            raise unavailable()
        call = current_call()
        compacted = await self._compactor.compact(call.owner, request, self._served())
        call.note(input_tokens=compacted.usage.input_tokens, output_tokens=compacted.usage.output_tokens)
        return compacted

    def _served(self) -> Models:
        if self._models is None:
            raise unavailable()
        return self._models

    async def _stored_response(self, owner: str, id: str) -> Response:
        record = await self._record(owner, id)
        if self._is_left_over(record):
            # What the store holds now is all that will ever be known of it.
            await fail_record(self._store, record, LAST_WRITE_FAILED)
            record = await self._record(owner, id)
        return response_of(record)

    async def _replay(self, owner: str, id: str) -> Replay:
        replay = await self._store.replay(owner, id)
        if replay is not None and self._is_left_over(replay.record):
            await fail_record(self._store, replay.record, LAST_WRITE_FAILED)
            replay = await self._store.replay(owner, id)
        if replay is None:
            raise response_not_found(id)
        return replay

    async def _record(self, owner: str, id: str) -> Record:
        record = await self._store.get(owner, id)
        if record is None:
            raise response_not_found(id)
        return record

    def _is_left_over(self, record: Record) -> bool:
        """Whether its last write failed."""
        return record.status == IN_PROGRESS and record.id not in self._running
