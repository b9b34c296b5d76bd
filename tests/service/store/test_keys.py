"""Idempotency keys in the store, and records that only they lead to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
