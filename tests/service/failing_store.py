"""A store whose operations fail when they are told to, around one that works."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.store import AnsweredKey, Counts, Record, Replay, Store, StoreError, StoreUnavailable


class FailingStore:
    """Passes everything on, except operations named in `failing`, which raise what stands there.

    Operations named in `held` say that they were asked for, then wait for their second event.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.failing: dict[str, StoreError] = {}
        self.held: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}

    @contextmanager
    def without(self, operation: str, error: StoreError | None = None) -> Iterator[None]:
        """Within it the operation fails; a full disk unless told otherwise."""
        self.failing[operation] = error or StoreUnavailable("/secret/path: the disk is full.")
        try:
            yield
        finally:
            self.failing.pop(operation, None)

    async def _enter(self, operation: str) -> None:
        if operation in self.held:
            asked, released = self.held[operation]
            asked.set()
            await released.wait()
        if operation in self.failing:
            raise self.failing[operation]

    async def create(
        self, record: Record, events: bytes = b"", items: Sequence[str] = (), key: AnsweredKey | None = None
    ) -> None:
        await self._enter("create")
        await self._store.create(record, events, items, key)

    async def checkpoint(self, id: str, events: bytes) -> bool:
        await self._enter("checkpoint")
        return await self._store.checkpoint(id, events)

    async def finish(
        self, id: str, status: str, response: bytes, events: bytes = b"", items: Sequence[str] = ()
    ) -> bool:
        await self._enter("finish")
        return await self._store.finish(id, status, response, events, items)

    async def get(self, owner: str, id: str) -> Record | None:
        await self._enter("get")
        return await self._store.get(owner, id)

    async def find_item(self, owner: str, item_id: str) -> Record | None:
        await self._enter("find_item")
        return await self._store.find_item(owner, item_id)

    async def find_key(self, owner: str, key: str) -> AnsweredKey | None:
        await self._enter("find_key")
        return await self._store.find_key(owner, key)

    async def replay(self, owner: str, id: str) -> Replay | None:
        await self._enter("replay")
        return await self._store.replay(owner, id)

    async def chain(self, owner: str, id: str) -> list[Record] | None:
        await self._enter("chain")
        return await self._store.chain(owner, id)

    async def delete(self, owner: str, id: str) -> bool:
        await self._enter("delete")
        return await self._store.delete(owner, id)

    async def unfinished(self) -> list[Record]:
        await self._enter("unfinished")
        return await self._store.unfinished()

    async def secret(self) -> bytes:
        await self._enter("secret")
        return await self._store.secret()

    async def sweep(self) -> int:
        await self._enter("sweep")
        return await self._store.sweep()

    async def counts(self) -> Counts:
        return await self._store.counts()

    async def close(self) -> None:
        await self._store.close()
