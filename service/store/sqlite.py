"""The store on one SQLite file: every operation is one transaction on one worker thread.

It knows when: the clock, the thread, what is durable. What a record is in SQL is not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from service.store import keys, records, retention
from service.store.database import Database
from service.store.errors import StoreUnavailable
from service.store.protocol import IN_PROGRESS, AnsweredKey, Bounds, Counts, Record, Replay

P = ParamSpec("P")
T = TypeVar("T")


class SqliteStore:
    """A Store (service.store.protocol) in the file of `database`, which belongs to the thread of `worker`."""

    def __init__(
        self, database: Database, worker: ThreadPoolExecutor, bounds: Bounds, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._worker = worker
        self._bounds = bounds
        self._clock = clock
        self._closed = False

    @classmethod
    async def open(
        cls, path: Path, bounds: Bounds, clock: Callable[[], float], max_pages: int | None = None
    ) -> SqliteStore:
        """Opens or creates the file. `clock` gives seconds since the epoch, `max_pages` (4096 bytes each) bounds the
        file. Raises StoreLocked, StoreCorrupt, StoreTooNew or StoreUnavailable."""
        worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        try:
            database = await _on(worker, _open, path, bounds, max_pages)
        except BaseException:
            worker.shutdown(wait=False)
            raise
        return cls(database, worker, bounds, clock)

    async def create(
        self, record: Record, events: bytes = b"", items: Sequence[str] = (), key: AnsweredKey | None = None
    ) -> None:
        assert record.status == IN_PROGRESS
        await self._run(self._create, record, events, items, key)

    async def checkpoint(self, id: str, events: bytes) -> bool:
        return await self._run(self._checkpoint, id, events)

    async def finish(
        self, id: str, status: str, response: bytes, events: bytes = b"", items: Sequence[str] = ()
    ) -> bool:
        assert status != IN_PROGRESS
        return await self._run(self._finish, id, status, response, events, items)

    async def get(self, owner: str, id: str) -> Record | None:
        return await self._run(self._get, owner, id)

    async def find_item(self, owner: str, item_id: str) -> Record | None:
        return await self._run(self._find_item, owner, item_id)

    async def find_key(self, owner: str, key: str) -> AnsweredKey | None:
        return await self._run(self._find_key, owner, key)

    async def replay(self, owner: str, id: str) -> Replay | None:
        return await self._run(self._replay, owner, id)

    async def chain(self, owner: str, id: str) -> list[Record] | None:
        return await self._run(self._chain, owner, id)

    async def delete(self, owner: str, id: str) -> bool:
        return await self._run(self._delete, owner, id)

    async def unfinished(self) -> list[Record]:
        return await self._run(self._unfinished)

    async def sweep(self) -> int:
        return await self._run(self._sweep)

    async def counts(self) -> Counts:
        return await self._run(self._counts)

    async def secret(self) -> bytes:
        return await self._run(self._secret)

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await _on(self._worker, self._database.close)
            self._worker.shutdown(wait=False)

    async def _run(self, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._closed:
            raise StoreUnavailable(f"The store {self._database.path} is closed.")
        return await _on(self._worker, operation, *args, **kwargs)

    def _create(self, record: Record, events: bytes, items: Sequence[str], key: AnsweredKey | None) -> None:
        latest = record.created_at + self._bounds.max_age_seconds
        expires_at = latest if record.expires_at is None else min(record.expires_at, latest)
        # Not durable: what a power cut takes with it here was promised to nobody.
        with self._database.transaction() as connection:
            now = self._clock()
            records.insert(connection, record, events, items, expires_at, now)
            if key is not None:
                keys.add(connection, record.owner, key)
            if retention.exceeds(connection, self._bounds):
                retention.expire(connection, now)
                retention.shrink(connection, self._bounds)
            if key is not None:
                keys.shrink(connection, self._bounds.max_records, now)

    def _checkpoint(self, id: str, events: bytes) -> bool:
        with self._database.transaction() as connection:
            return records.go_on(connection, id, events)

    def _finish(self, id: str, status: str, response: bytes, events: bytes, items: Sequence[str]) -> bool:
        with self._database.transaction(durable=True) as connection:
            return records.finish(connection, id, status, response, events, items)

    def _get(self, owner: str, id: str) -> Record | None:
        with self._database.transaction() as connection:
            return records.get(connection, owner, id, self._clock())

    def _find_item(self, owner: str, item_id: str) -> Record | None:
        with self._database.transaction() as connection:
            return records.find_item(connection, owner, item_id, self._clock())

    def _find_key(self, owner: str, key: str) -> AnsweredKey | None:
        with self._database.transaction() as connection:
            return keys.find(connection, owner, key, self._clock())

    def _replay(self, owner: str, id: str) -> Replay | None:
        with self._database.transaction() as connection:
            return records.replay(connection, owner, id, self._clock())

    def _chain(self, owner: str, id: str) -> list[Record] | None:
        with self._database.transaction() as connection:
            return records.chain(connection, owner, id, self._clock())

    def _delete(self, owner: str, id: str) -> bool:
        with self._database.transaction(durable=True) as connection:
            live = records.is_live(connection, owner, id, self._clock())
            if live:
                retention.discard(connection, id)
            return live

    def _unfinished(self) -> list[Record]:
        with self._database.transaction() as connection:
            return records.unfinished(connection, self._clock())

    def _sweep(self) -> int:
        with self._database.transaction() as connection:
            before = records.counts(connection).records
            retention.expire(connection, self._clock())
            retention.shrink(connection, self._bounds)
            keys.shrink(connection, self._bounds.max_records, self._clock())
            return before - records.counts(connection).records

    def _counts(self) -> Counts:
        with self._database.transaction() as connection:
            return records.counts(connection)

    def _secret(self) -> bytes:
        with self._database.transaction() as connection:
            return records.secret(connection)


def _open(path: Path, bounds: Bounds, max_pages: int | None) -> Database:
    database = Database.open(path, max_pages)
    with database.transaction() as connection:
        retention.tighten(connection, bounds.max_age_seconds)
    return database


async def _on(worker: ThreadPoolExecutor, operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs an operation on the worker. Shielded: once asked for, it takes place even if its caller is cancelled."""
    return await asyncio.shield(asyncio.wrap_future(worker.submit(operation, *args, **kwargs)))
