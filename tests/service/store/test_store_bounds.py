"""What goes when a bound is reached, and what never goes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.store import Bounds, Counts, Record, SqliteStore
from tests.service.store.model import FakeClock

SIZE = 10


@pytest.fixture
def bounds() -> Bounds:
    return Bounds(max_age_seconds=100, max_records=4, max_bytes=1000)


@pytest.fixture
async def narrow(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    """A store for four contents of SIZE bytes."""
    store = await SqliteStore.open(tmp_path / "narrow.db", Bounds(100, 1000, 4 * SIZE), clock)
    yield store
    await store.close()


async def add(store: SqliteStore, id: str, at: int, parent: str | None = None, finished: bool = True) -> None:
    await store.create(Record(id, "alice", at, b"x" * SIZE, parent_id=parent))
    if finished:
        assert await store.finish(id, "completed", b"")


async def present(store: SqliteStore, *ids: str) -> list[str]:
    return [id for id in ids if await store.get("alice", id) is not None]


async def test_beyond_the_count_the_oldest_goes(store: SqliteStore) -> None:
    for id, at in [("b", 1002), ("a", 1001), ("c", 1003), ("d", 1004), ("e", 1005)]:
        await add(store, id, at)
    assert await present(store, "a", "b", "c", "d", "e") == ["b", "c", "d", "e"]


async def test_beyond_the_bytes_the_oldest_go(narrow: SqliteStore) -> None:
    for id, at in [("a", 1001), ("b", 1002), ("c", 1003)]:
        await add(narrow, id, at)
    await narrow.create(Record("big", "alice", 1004, b"x" * 3 * SIZE))
    assert await present(narrow, "a", "b", "c", "big") == ["c", "big"]


async def test_what_a_finished_response_adds_counts_at_the_next_sweep(narrow: SqliteStore) -> None:
    await add(narrow, "a", 1001)
    await narrow.create(Record("b", "alice", 1002, b""))
    assert await narrow.finish("b", "completed", b"x" * 4 * SIZE)
    assert await narrow.sweep() == 1
    assert await present(narrow, "a", "b") == ["b"]


async def test_unfinished_records_stay_beyond_every_bound(store: SqliteStore, clock: FakeClock) -> None:
    for number in range(6):
        await add(store, f"r{number}", 1000 + number, finished=False)
    clock.now = 5000
    assert await store.sweep() == 0
    assert await store.counts() == Counts(6, 0, 6, 6 * SIZE)


async def test_what_an_unfinished_record_continues_stays(store: SqliteStore) -> None:
    await add(store, "a", 1000)
    await add(store, "b", 1001, parent="a")
    await add(store, "c", 1002)
    await add(store, "d", 1003)
    await add(store, "running", 1004, parent="b", finished=False)
    assert await present(store, "a", "b", "c", "d", "running") == ["a", "b", "d", "running"]


async def test_the_stalest_conversation_goes_from_its_end(store: SqliteStore) -> None:
    await add(store, "old 1", 1000)
    await add(store, "new 1", 1001)
    await add(store, "old 2", 1002, parent="old 1")
    await add(store, "new 2", 1003, parent="new 1")
    await add(store, "new 3", 1004, parent="new 2")
    assert await present(store, "old 1", "old 2", "new 1", "new 2", "new 3") == ["old 1", "new 1", "new 2", "new 3"]


async def test_tombstones_count(store: SqliteStore) -> None:
    await add(store, "a", 1000)
    await add(store, "b", 1001, parent="a")
    await store.delete("alice", "a")
    for number in range(3):
        await add(store, f"r{number}", 1002 + number)
    assert await present(store, "b", "r0", "r1", "r2") == ["r0", "r1", "r2"]
    assert await store.counts() == Counts(3, 0, 0, 3 * SIZE)


async def test_a_sweep_removes_what_expired(store: SqliteStore, clock: FakeClock) -> None:
    await add(store, "a", 1000)
    await add(store, "b", 1050)
    clock.now = 1100
    assert await store.sweep() == 1
    assert await store.counts() == Counts(1, 0, 0, SIZE)


async def test_making_room_begins_with_all_that_expired(store: SqliteStore, clock: FakeClock) -> None:
    for id, at in [("a", 1000), ("b", 1001), ("c", 1090), ("d", 1091)]:
        await add(store, id, at)
    clock.now = 1101
    await add(store, "e", 1101)
    assert await store.counts() == Counts(3, 0, 0, 3 * SIZE)
    assert await present(store, "c", "d", "e") == ["c", "d", "e"]


async def test_an_expired_parent_stays_as_a_tombstone_until_its_child_expires(
    store: SqliteStore, clock: FakeClock
) -> None:
    await add(store, "a", 1000)
    await add(store, "b", 1050, parent="a")
    clock.now = 1100
    assert await store.sweep() == 0
    assert await store.counts() == Counts(2, 1, 0, 2 * SIZE)
    clock.now = 1150
    assert await store.sweep() == 2
    assert await store.counts() == Counts(0, 0, 0, 0)


async def test_a_greatest_age_that_was_lowered_holds_from_the_next_start(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "aging.db"
    before = await SqliteStore.open(path, Bounds(max_age_seconds=100), clock)
    await add(before, "a", 1000)
    await before.close()
    clock.now = 1030
    after = await SqliteStore.open(path, Bounds(max_age_seconds=30), clock)
    assert await after.get("alice", "a") is None
    await after.close()


async def test_making_room_does_not_slow_down_with_what_is_kept(tmp_path: Path, clock: FakeClock) -> None:
    store = await SqliteStore.open(tmp_path / "full.db", Bounds(max_records=300), clock)
    for number in range(400):
        await add(store, f"r{number}", 1000 + number)
    assert await store.counts() == Counts(300, 0, 0, 300 * SIZE)
    assert await present(store, "r99", "r100") == ["r100"]
    await store.close()


@pytest.mark.parametrize("statement", ["EXPIRED", "OLDEST"])
def test_what_goes_is_found_by_an_index(tmp_path: Path, statement: str) -> None:
    from service.store import retention
    from service.store.database import Database

    database = Database.open(tmp_path / "plan.db")
    sql = str(getattr(retention, statement))
    plan = [row["detail"] for row in database.connection.execute("EXPLAIN QUERY PLAN " + sql, [0] * sql.count("?"))]
    database.close()
    assert len(plan) == 1
    assert "USING INDEX" in plan[0] or "USING COVERING INDEX" in plan[0]
