"""What is written of one response while it runs: its beginning, now and then the text so far, its end.

It decides when to write and what a failing write means. It knows neither what events say nor the engine.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.response_pb2 import Response
from common.logging import get_logger
from service.background import Background
from service.input_items import id_of
from service.segments import pack
from service.status import status_name
from service.store.errors import StoreError, StoreUnavailable
from service.store.protocol import AnsweredKey, Record, Store

CHECKPOINT_SECONDS = 1.0
# Between the tries of the last write: a disk that is full may have room in a moment. Altogether less than what a stop
# leaves to responses that it has cut off.
PAUSES = (0.1, 0.4, 1.0)

Pause: TypeAlias = Callable[[float], Awaitable[None]]

log = get_logger("service.recorder")


class Recorder:
    """Writes one response and its events into the store, each write after the one before.

    steady: a clock that never goes back, in seconds. pause: waits so many seconds. A call that returns None takes no
    time: the writing is done by tasks of `background`, and goes on if whoever called is cancelled. `events` are all so
    far, and may grow; each is written once, with the first write that succeeds after it.
    """

    def __init__(
        self,
        store: Store,
        record: Record,
        items: Sequence[str],
        background: Background,
        steady: Callable[[], float],
        key: AnsweredKey | None = None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """items: the ids of those in the record's request. key: the idempotency key that the response answers."""
        self._store, self._record, self._items, self._key = store, record, items, key
        self._background, self._steady, self._pause = background, steady, pause
        self._begun: asyncio.Task[None] | None = None
        self._checkpoint: asyncio.Task[None] | None = None
        self._next_checkpoint = 0.0
        self._written = 0  # events

    async def begin(self, events: Sequence[ResponseEvent]) -> None:
        """Adds the record. Raises StoreError, after which nothing more is to be written."""
        self._begun = self._background.start(self._store.create(self._record, pack(events), self._items, self._key))
        self._next_checkpoint = self._steady() + CHECKPOINT_SECONDS
        await asyncio.shield(self._begun)
        self._written = len(events)

    def progress(self, tell: Callable[[], None], events: Sequence[ResponseEvent]) -> None:
        """Writes the events since the last write if it is time to. tell: adds to them what waits to be told."""
        now = self._steady()
        if now < self._next_checkpoint or (self._checkpoint is not None and not self._checkpoint.done()):
            return
        self._next_checkpoint = now + CHECKPOINT_SECONDS
        tell()
        self._checkpoint = self._background.start(self._write_checkpoint(events[self._written :]))

    async def end(self, response: Response, events: Sequence[ResponseEvent]) -> bool:
        """Writes the final state; whether that worked, at once or a moment later. A response deleted meanwhile stays
        deleted."""
        earlier = [task for task in (self._begun, self._checkpoint) if task is not None]
        await asyncio.gather(*earlier, return_exceptions=True)
        status = status_name(response.status)
        segment = pack(events[self._written :])
        made = [id_of(item) for item in response.output]
        whole = response.SerializeToString()
        for pause in (*PAUSES, None):
            try:
                await self._store.finish(self._record.id, status, whole, segment, made)
                return True
            except StoreError as error:
                facts = {"response_id": self._record.id, "status": status, "error": str(error)}
                if pause is None or not isinstance(error, StoreUnavailable):
                    log.error("a response could not be stored", **facts)
                    break
                log.warning("a response could not be stored yet", **facts)
            await self._pause(pause)
        return False

    async def _write_checkpoint(self, events: Sequence[ResponseEvent]) -> None:
        try:
            await self._store.checkpoint(self._record.id, pack(events))
        except StoreError as error:
            # The text so far is a safeguard; what counts is the last write.
            log.warning("the text so far could not be stored", response_id=self._record.id, error=str(error))
        else:
            self._written += len(events)
