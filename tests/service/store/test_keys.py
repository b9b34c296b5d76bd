"""Idempotency keys in the store, and records that only they lead to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from service.store import AnsweredKey, Bounds, Record, SqliteStore
from tests.service.store.model import FakeClock

ROOT = Record("resp_1", "alice", created_at=1000, request=b"hello")
KEY = AnsweredKey("once", b"hash", "resp_1", expires_at=1050)


async def test_a_key_is_found_by_its_owner_until_it_expires(store: SqliteStore, clock: FakeClock) -> None:
    await store.create(ROOT, key=KEY)
    assert await store.find_key("alice", "once") == KEY
    assert await store.find_key("bob", "once") is None
    assert await store.find_key("alice", "twice") is None
    clock.now = 1050
    assert await store.find_key("alice", "once") is None
    later = AnsweredKey("once", b"other", "resp_2", expires_at=1150)
    await store.create(replace(ROOT, id="resp_2", created_at=1050), key=later)
    assert await store.find_key("alice", "once") == later


async def test_a_key_is_there_after_a_restart_and_outlives_its_record(tmp_path: Path, clock: FakeClock) -> None:
    for action in ("make", "look"):
        store = await SqliteStore.open(tmp_path / "keys.db", Bounds(), clock)
        if action == "make":
            await store.create(ROOT, key=KEY)
            await store.delete("alice", "resp_1")
        assert await store.find_key("alice", "once") == KEY
        await store.close()


async def test_a_sweep_removes_expired_keys(store: SqliteStore, clock: FakeClock) -> None:
    await store.create(ROOT, key=KEY)
    clock.now = 1050
    await store.sweep()
    clock.now = 1000  # as if it had not expired
    assert await store.find_key("alice", "once") is None


async def test_a_hidden_record_is_found_by_nobody_but_its_replay(store: SqliteStore, clock: FakeClock) -> None:
    hidden = replace(ROOT, hidden=True, expires_at=1050)
    await store.create(hidden, b"events", items=["msg_1"], key=KEY)
    assert [record.id for record in await store.unfinished()] == ["resp_1"]
    assert await store.finish("resp_1", "completed", b"out", items=["msg_2"])
    assert await store.get("alice", "resp_1") is None
    assert await store.chain("alice", "resp_1") is None
    assert await store.find_item("alice", "msg_1") is None
    assert not await store.delete("alice", "resp_1")
    replay = await store.replay("alice", "resp_1")
    assert replay is not None
    assert (replay.record.hidden, replay.record.response, replay.segments) == (True, b"out", (b"events",))
    clock.now = 1050
    assert await store.sweep() == 1
    assert (await store.counts()).bytes == 0


def number(n: int) -> tuple[Record, AnsweredKey]:
    """The n-th of many records that have keys."""
    id = f"resp_{n:02}"
    return Record(id, "alice", 1000 + n, b"hello"), AnsweredKey(f"key {n:02}", b"hash", id, expires_at=9000 + n)


async def kept(store: SqliteStore, count: int) -> list[int]:
    return [n for n in range(count) if await store.find_key("alice", f"key {n:02}") is not None]


@pytest.fixture
async def small(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    """A store for four records."""
    store = await SqliteStore.open(tmp_path / "small.db", Bounds(max_records=4), clock)
    yield store
    await store.close()


async def test_keys_of_records_that_are_gone_are_as_many_as_records_may_be(small: SqliteStore) -> None:
    for n in range(9):
        record, key = number(n)
        await small.create(record, key=key)
        await small.delete("alice", record.id)
    assert await kept(small, 9) == [5, 6, 7, 8]


async def test_a_key_does_not_go_before_its_record(small: SqliteStore, clock: FakeClock) -> None:
    for n in range(9):
        record, key = number(n)
        await small.create(record, key=key)
        if n > 5:
            await small.delete("alice", record.id)
    # Six still run, whatever the bound.
    assert await kept(small, 9) == [0, 1, 2, 3, 4, 5, 8]
    for n in range(6):
        await small.finish(f"resp_{n:02}", "completed", b"out")
    await small.sweep()
    assert [record for record in range(9) if await small.get("alice", f"resp_{record:02}")] == [2, 3, 4, 5]
    assert await kept(small, 9) == [2, 3, 4, 5]


async def test_a_key_that_is_used_again_counts_once(small: SqliteStore, clock: FakeClock) -> None:
    await small.create(number(0)[0], key=replace(number(0)[1], expires_at=1001))
    clock.now = 1002
    for n in range(1, 4):
        record, key = number(n)
        await small.create(record, key=key)
        await small.delete("alice", record.id)
    await small.create(replace(ROOT, id="resp_again"), key=replace(number(0)[1], response_id="resp_again"))
    assert await kept(small, 4) == [0, 1, 2, 3]
