"""What the store does with records, one at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from service.store import Counts, ParentNotFound, Record, RecordExists, SqliteStore, StoreUnavailable
from tests.service.store.model import FakeClock

ROOT = Record("resp_1", "alice", created_at=1000, request=b"hello")


async def add_finished(store: SqliteStore, *ids: str, owner: str = "alice", parent: str | None = None) -> None:
    """A chain of finished records, each the child of the one before."""
    for id in ids:
        await store.create(Record(id, owner, created_at=1000, request=b"in " + id.encode(), parent_id=parent))
        assert await store.finish(id, "completed", b"out " + id.encode())
        parent = id


def ids_of(records: Sequence[Record] | None) -> list[str]:
    assert records is not None
    return [record.id for record in records]


async def test_a_record_is_there_from_its_admission(store: SqliteStore) -> None:
    await store.create(ROOT)
    assert await store.get("alice", "resp_1") == replace(ROOT, expires_at=1100)


async def test_a_finished_record_has_its_last_response_and_status(store: SqliteStore) -> None:
    await store.create(ROOT)
    assert await store.checkpoint("resp_1", b"events")
    assert await store.get("alice", "resp_1") == replace(ROOT, expires_at=1100)
    assert await store.finish("resp_1", "completed", b"partial no more")
    expected = replace(ROOT, status="completed", response=b"partial no more", expires_at=1100)
    assert await store.get("alice", "resp_1") == expected


async def test_a_record_ends_once(store: SqliteStore) -> None:
    await add_finished(store, "resp_1")
    assert not await store.finish("resp_1", "failed", b"again")
    assert not await store.checkpoint("resp_1", b"again")
    record = await store.get("alice", "resp_1")
    assert record is not None
    assert (record.status, record.response) == ("completed", b"out resp_1")


async def test_an_id_is_given_once_even_across_owners(store: SqliteStore) -> None:
    await store.create(ROOT)
    with pytest.raises(RecordExists):
        await store.create(ROOT)
    with pytest.raises(RecordExists):
        await store.create(replace(ROOT, owner="bob", request=b"other"))
    assert await store.get("alice", "resp_1") == replace(ROOT, expires_at=1100)


async def test_a_foreign_record_is_an_unknown_one(store: SqliteStore) -> None:
    await add_finished(store, "resp_1")
    assert await store.get("bob", "resp_1") is None
    assert await store.chain("bob", "resp_1") is None
    assert not await store.delete("bob", "resp_1")
    with pytest.raises(ParentNotFound):
        await store.create(Record("resp_2", "bob", 1000, b"", parent_id="resp_1"))
    assert await store.get("alice", "resp_1") is not None


async def test_a_chain_runs_from_the_root_to_the_record(store: SqliteStore) -> None:
    await add_finished(store, "resp_1", "resp_2", "resp_3")
    await add_finished(store, "resp_2b", parent="resp_1")
    assert ids_of(await store.chain("alice", "resp_3")) == ["resp_1", "resp_2", "resp_3"]
    assert ids_of(await store.chain("alice", "resp_2b")) == ["resp_1", "resp_2b"]
    assert await store.chain("alice", "resp_9") is None


async def test_a_deleted_record_is_gone_for_everything(store: SqliteStore) -> None:
    await add_finished(store, "resp_1")
    assert await store.delete("alice", "resp_1")
    assert await store.get("alice", "resp_1") is None
    assert await store.chain("alice", "resp_1") is None
    assert not await store.delete("alice", "resp_1")
    with pytest.raises(ParentNotFound):
        await store.create(Record("resp_2", "alice", 1000, b"", parent_id="resp_1"))
    assert await store.counts() == Counts(0, 0, 0, 0)


async def test_a_deleted_parent_still_serves_the_context_of_its_children(store: SqliteStore) -> None:
    await add_finished(store, "resp_1", "resp_2")
    assert await store.delete("alice", "resp_1")
    assert await store.get("alice", "resp_1") is None
    with pytest.raises(ParentNotFound):
        await store.create(Record("resp_2b", "alice", 1000, b"", parent_id="resp_1"))
    chain = await store.chain("alice", "resp_2")
    assert chain is not None
    assert [(record.id, record.request, record.tombstone) for record in chain] == [
        ("resp_1", b"in resp_1", True),
        ("resp_2", b"in resp_2", False),
    ]


async def test_tombstones_go_with_the_last_that_descends_from_them(store: SqliteStore) -> None:
    await add_finished(store, "resp_1", "resp_2", "resp_3")
    await add_finished(store, "resp_3b", parent="resp_2")
    for id in ("resp_1", "resp_2", "resp_3"):
        assert await store.delete("alice", id)
    assert (await store.counts()).records == 3
    assert (await store.counts()).tombstones == 2
    assert await store.delete("alice", "resp_3b")
    assert await store.counts() == Counts(0, 0, 0, 0)


async def test_a_live_parent_stays_when_its_last_child_goes(store: SqliteStore) -> None:
    await add_finished(store, "resp_1", "resp_2")
    assert await store.delete("alice", "resp_2")
    assert ids_of(await store.chain("alice", "resp_1")) == ["resp_1"]


async def test_finishing_what_was_deleted_meanwhile_says_so_and_writes_nothing(store: SqliteStore) -> None:
    await store.create(ROOT)
    assert await store.delete("alice", "resp_1")
    assert not await store.checkpoint("resp_1", b"late")
    assert not await store.finish("resp_1", "completed", b"late")
    assert await store.counts() == Counts(0, 0, 0, 0)


async def test_an_expired_record_is_gone_before_any_sweep(store: SqliteStore, clock: FakeClock) -> None:
    await add_finished(store, "resp_1")
    clock.now = 1099.9
    assert await store.get("alice", "resp_1") is not None
    clock.now = 1100
    assert await store.get("alice", "resp_1") is None
    assert await store.chain("alice", "resp_1") is None
    assert not await store.delete("alice", "resp_1")
    assert (await store.counts()).records == 1


async def test_a_record_may_expire_at_a_time_of_its_own(store: SqliteStore, clock: FakeClock) -> None:
    await store.create(replace(ROOT, expires_at=1010))
    clock.now = 1010
    assert await store.get("alice", "resp_1") is None


async def test_an_expired_ancestor_still_serves_the_context(store: SqliteStore, clock: FakeClock) -> None:
    await add_finished(store, "resp_1")
    await store.create(Record("resp_2", "alice", 1050, b"", parent_id="resp_1"))
    clock.now = 1120
    chain = await store.chain("alice", "resp_2")
    assert chain is not None
    assert [record.tombstone for record in chain] == [True, False]


async def test_what_a_crash_left_behind_is_found_in_the_order_of_its_making(store: SqliteStore) -> None:
    await add_finished(store, "resp_1")
    await store.create(Record("resp_3", "bob", 1003, b"", response=b"begun"))
    await store.create(Record("resp_2", "alice", 1002, b"", parent_id="resp_1"))
    await store.checkpoint("resp_3", b"so far")
    left = await store.unfinished()
    assert [(record.id, record.owner, record.response) for record in left] == [
        ("resp_2", "alice", b""),
        ("resp_3", "bob", b"begun"),
    ]


async def test_a_thousand_turns_load_at_once(store: SqliteStore) -> None:
    ids = [f"resp_{number}" for number in range(1000)]
    await add_finished(store, *ids)
    start = time.perf_counter()
    assert ids_of(await store.chain("alice", ids[-1])) == ids
    # 20 ms on an idle machine; a statement per turn would be no faster, a scan per turn would take seconds.
    assert time.perf_counter() - start < 1


async def test_a_cancelled_call_takes_place_all_the_same(store: SqliteStore) -> None:
    await store.create(ROOT)
    call = asyncio.create_task(store.finish("resp_1", "completed", b"done"))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    record = await store.get("alice", "resp_1")
    assert record is not None
    assert record.status == "completed"


async def test_calls_at_the_same_time_do_not_mix(store: SqliteStore) -> None:
    await asyncio.gather(*(add_finished(store, f"a{n}", f"b{n}", f"c{n}") for n in range(30)))
    chains = await asyncio.gather(*(store.chain("alice", f"c{n}") for n in range(30)))
    assert [ids_of(chain) for chain in chains] == [[f"a{n}", f"b{n}", f"c{n}"] for n in range(30)]


async def test_a_closed_store_says_so(store: SqliteStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match=r"is closed\.$"):
        await store.get("alice", "resp_1")


async def test_events_are_kept_in_the_order_of_their_writing_and_go_with_their_record(store: SqliteStore) -> None:
    await store.create(ROOT, b"first")
    assert await store.checkpoint("resp_1", b"second")
    assert await store.checkpoint("resp_1", b"")
    assert await store.finish("resp_1", "completed", b"whole", b"last")
    replay = await store.replay("alice", "resp_1")
    assert replay is not None
    assert replay.record == await store.get("alice", "resp_1")
    assert replay.segments == (b"first", b"second", b"last")
    assert await store.replay("bob", "resp_1") is None
    assert await store.delete("alice", "resp_1")
    assert await store.replay("alice", "resp_1") is None
    assert (await store.counts()).bytes == 0


async def test_events_count_as_what_they_take_compressed(store: SqliteStore) -> None:
    await store.create(ROOT, b"x" * 100_000)
    assert len(ROOT.request) < (await store.counts()).bytes < 1000


async def test_a_tombstone_has_no_events(store: SqliteStore) -> None:
    await store.create(ROOT, b"events")
    await store.finish("resp_1", "completed", b"out", b"more events")
    await store.create(Record("resp_2", "alice", 1000, b"", parent_id="resp_1"))
    assert await store.delete("alice", "resp_1")
    assert (await store.counts()).bytes == len(b"hello" + b"out")


async def test_an_item_leads_to_the_newest_record_of_its_owner_that_has_it(store: SqliteStore) -> None:
    for id, owner in (("resp_1", "alice"), ("resp_2", "alice"), ("resp_3", "bob")):
        await store.create(Record(id, owner, 1000, b"asked"), items=["msg_1", f"msg_of_{id}"])
        await store.finish(id, "completed", b"said", items=[f"answer_of_{id}"])
    assert ids_of([await found(store, "alice", "msg_1")]) == ["resp_2"]
    assert ids_of([await found(store, "alice", "answer_of_resp_1")]) == ["resp_1"]
    assert await store.find_item("alice", "msg_of_resp_3") is None
    assert await store.find_item("alice", "msg_9") is None


async def test_a_deleted_record_is_not_found_by_its_items_even_while_others_need_it(store: SqliteStore) -> None:
    await store.create(Record("resp_1", "alice", 1000, b""), items=["msg_1"])
    await store.create(Record("resp_2", "alice", 1000, b"", "resp_1"), items=["msg_2"])
    await store.delete("alice", "resp_1")
    assert await store.find_item("alice", "msg_1") is None
    assert ids_of([await found(store, "alice", "msg_2")]) == ["resp_2"]


async def test_an_expired_record_is_not_found_by_its_items(store: SqliteStore, clock: FakeClock) -> None:
    await store.create(Record("resp_1", "alice", 1000, b""), items=["msg_1"])
    clock.now += 101
    assert await store.find_item("alice", "msg_1") is None


async def found(store: SqliteStore, owner: str, item_id: str) -> Record:
    record = await store.find_item(owner, item_id)
    assert record is not None
    return record
