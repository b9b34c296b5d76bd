"""What is written of one response while it runs: its beginning, now and then the text so far, its end.

It decides when to write and what a failing write means. It knows neither events nor the engine.
"""

import asyncio
from collections.abc import Callable

from answerd.v1.response_pb2 import Response
from common.logging import get_logger
from service.background import Background
from service.status import status_name
from service.store.errors import StoreError
from service.store.protocol import Record, Store

CHECKPOINT_SECONDS = 1.0

log = get_logger("service.recorder")


class Recorder:
    """Writes one response into the store, each write after the one before.

    steady: a clock that never goes back, in seconds. Calls that return None take no time: the writing is done by
    tasks of `background`, and goes on if whoever called is cancelled.
    """

    def __init__(self, store: Store, record: Record, background: Background, steady: Callable[[], float]) -> None:
        self._store, self._record, self._background, self._steady = store, record, background, steady
        self._begun: asyncio.Task[None] | None = None
        self._checkpoint: asyncio.Task[None] | None = None
        self._next_checkpoint = 0.0

    async def begin(self) -> None:
        """Adds the record. Raises StoreError, after which nothing more is to be written."""
        self._begun = self._background.start(self._store.create(self._record))
        self._next_checkpoint = self._steady() + CHECKPOINT_SECONDS
        await asyncio.shield(self._begun)

    def progress(self, snapshot: Callable[[], Response]) -> None:
        """Writes the text so far if it is time to."""
        now = self._steady()
        if now < self._next_checkpoint or (self._checkpoint is not None and not self._checkpoint.done()):
            return
        self._next_checkpoint = now + CHECKPOINT_SECONDS
        self._checkpoint = self._background.start(self._write_checkpoint(snapshot().SerializeToString()))

    def end(self, response: Response) -> asyncio.Task[bool]:
        """Writes the final state; the task tells whether that worked. A response deleted meanwhile stays deleted."""
        return self._background.start(self._write_end(status_name(response.status), response.SerializeToString()))

    async def _write_checkpoint(self, response: bytes) -> None:
        try:
            await self._store.checkpoint(self._record.id, response)
        except StoreError as error:
            # The text so far is a safeguard; what counts is the last write.
            log.warning("the text so far could not be stored", response_id=self._record.id, error=str(error))

    async def _write_end(self, status: str, response: bytes) -> bool:
        earlier = [task for task in (self._begun, self._checkpoint) if task is not None]
        await asyncio.gather(*earlier, return_exceptions=True)
        try:
            await self._store.finish(self._record.id, status, response)
        except StoreError as error:
            log.error("a response could not be stored", response_id=self._record.id, status=status, error=str(error))
            return False
        return True
