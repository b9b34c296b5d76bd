"""A killed process, a full disk: what was committed stays, and work goes on when it can."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from service.store import Bounds, Record, SqliteStore, StoreUnavailable
from tests.service.store.model import FakeClock
from tests.support.processes import Processes

BLOCK = 20_000

# Prints each id once it is finished, without end.
WRITER = f"""
import asyncio, os, sys
from pathlib import Path
from service.store import Bounds, Record, SqliteStore
async def write():
    store = await SqliteStore.open(Path(sys.argv[1]), Bounds(), lambda: 1000.0)
    number, parent = 0, None
    while True:
        id = f"resp_{{number}}"
        await store.create(Record(id, "alice", 1000, id.encode(), parent))
        await store.checkpoint(id, os.urandom(4 * {BLOCK}))
        await store.finish(id, "completed", id.encode() * {BLOCK})
        print(id, flush=True)
        number, parent = number + 1, id
asyncio.run(write())
"""

# Writes until the file-size limit of the process refuses, then goes on without the limit.
LIMITED = """
import asyncio, resource, sys
from pathlib import Path
from service.store import Bounds, Record, SqliteStore, StoreUnavailable
def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
async def write():
    store = await SqliteStore.open(Path(sys.argv[1]), Bounds(), lambda: 1000.0)
    await store.create(Record("resp_1", "alice", 1000, b"kept"))
    limit(Path(sys.argv[1] + "-wal").stat().st_size + 10_000)
    try:
        await store.create(Record("resp_2", "alice", 1000, b"x" * 1_000_000))
    except StoreUnavailable as error:
        print(error)
    assert (await store.get("alice", "resp_1")).request == b"kept"
    assert await store.get("alice", "resp_2") is None
    limit(resource.RLIM_INFINITY)
    await store.create(Record("resp_2", "alice", 1000, b"x" * 1_000_000))
    await store.close()
asyncio.run(write())
"""


@pytest.mark.parametrize("finished", [1, 7, 40])
async def test_a_kill_at_any_moment_loses_nothing_that_was_finished(
    tmp_path: Path, clock: FakeClock, processes: Processes, finished: int
) -> None:
    path = tmp_path / "answerd.db"
    writer = processes.start([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    ids = [writer.stdout.readline().strip() for _ in range(finished)]
    writer.kill()
    ids += writer.stdout.read().split()
    assert writer.wait() == -signal.SIGKILL
    store = await SqliteStore.open(path, Bounds(), clock)
    chain = await store.chain("alice", ids[-1])
    assert chain is not None
    assert [(r.id, r.status, r.response) for r in chain] == [(id, "completed", id.encode() * BLOCK) for id in ids]
    left = [record.id for record in await store.unfinished()]
    assert left in ([], [f"resp_{len(ids)}"])
    counts = await store.counts()
    await store.close()
    assert sound(path)
    assert (counts.records, counts.bytes) == sizes_in(path)


def sound(path: Path) -> bool:
    connection = sqlite3.connect(path)
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return bool(verdict == "ok")


def sizes_in(path: Path) -> tuple[int, int]:
    """Records and bytes, counted the slow way."""
    connection = sqlite3.connect(path)
    row = connection.execute("SELECT count(*), sum(length(request) + length(response)) FROM contents").fetchone()
    (events,) = connection.execute("SELECT total(length(events)) FROM segments").fetchone()
    connection.close()
    return int(row[0]), int(row[1] + events)


async def fill(store: SqliteStore) -> int:
    """Adds records until the disk is full; returns how many there was room for."""
    room = 0
    with suppress(StoreUnavailable):
        for room in range(1000):
            await store.create(Record(f"resp_{room}", "alice", 1000 + room, b"x" * 10_000))
            assert await store.finish(f"resp_{room}", "completed", b"")
    with pytest.raises(StoreUnavailable, match="the disk is full; nothing already stored is lost"):
        await store.create(Record(f"resp_{room}", "alice", 1000, b"x" * 10_000))
    return room


async def test_a_full_disk_loses_nothing_and_room_made_is_used(tmp_path: Path, clock: FakeClock) -> None:
    store = await SqliteStore.open(tmp_path / "answerd.db", Bounds(), clock, max_pages=100)
    room = await fill(store)
    assert room > 10
    for number in range(room):
        record = await store.get("alice", f"resp_{number}")
        assert record is not None
        assert record.request == b"x" * 10_000
    assert (await store.counts()).records == room
    assert await store.delete("alice", "resp_0")
    await store.create(Record("resp_new", "alice", 2000, b"x" * 8_000))
    assert await store.get("alice", "resp_new") is not None
    await store.close()


async def test_a_response_that_does_not_fit_leaves_what_was_saved_of_it(tmp_path: Path, clock: FakeClock) -> None:
    store = await SqliteStore.open(tmp_path / "answerd.db", Bounds(), clock, max_pages=100)
    await store.create(Record("resp_1", "alice", 1000, b"in"))
    await store.checkpoint("resp_1", b"so far")
    with pytest.raises(StoreUnavailable):
        await store.finish("resp_1", "completed", b"x" * 1_000_000)
    replay = await store.replay("alice", "resp_1")
    assert replay is not None
    assert (replay.record.status, replay.segments) == ("in_progress", (b"so far",))
    assert await store.finish("resp_1", "failed", b"short")
    await store.close()


async def test_a_disk_that_refuses_to_write_is_survived(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)  # noqa: ASYNC221 - the loop has nothing else to do
    assert "cannot be used now" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert sound(path)
    store = await SqliteStore.open(path, Bounds(), clock)
    assert (await store.counts()).records == 2
    await store.close()


async def test_a_full_disk_does_not_keep_a_store_from_opening(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    store = await SqliteStore.open(path, Bounds(), clock, max_pages=100)
    room = await fill(store)
    await store.close()
    store = await SqliteStore.open(path, Bounds(), clock, max_pages=100)
    assert (await store.counts()).records == room
    await store.close()
