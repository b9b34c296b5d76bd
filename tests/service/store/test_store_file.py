"""The file below the store: private, owned by one process, never touched when it is not ours, and never lost."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from service.store import (
    Bounds,
    Record,
    SqliteStore,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreTooNew,
    StoreUnavailable,
    open_store,
)
from service.store.database import Database
from service.store.migrations import MIGRATIONS
from tests.service.store.model import FakeClock
from tests.support.processes import Processes

ROWS = """
SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM contents),
       (SELECT count(*) FROM segments), (SELECT count(*) FROM items)
"""
HOLDER = """
import asyncio, sys
from service.store import Bounds, open_store
async def hold():
    store = await open_store(sys.argv[1], Bounds())
    print("open", flush=True)
    sys.stdin.read()
asyncio.run(hold())
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def filled(path: Path, clock: FakeClock, turns: int = 50) -> None:
    """Leaves a closed store with records at `path`."""
    store = await SqliteStore.open(path, Bounds(), clock)
    for number in range(turns):
        await store.create(Record(f"resp_{number}", "alice", 1000, b"in" * 500))
        await store.finish(f"resp_{number}", "completed", b"out" * 500)
    await store.close()


async def test_folders_and_file_are_made_for_this_user_alone(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/a/b/answerd.db", Bounds())
    await store.create(Record("resp_1", "alice", 1000, b""))
    assert [mode_of(tmp_path / "a"), mode_of(tmp_path / "a" / "b")] == [0o700, 0o700]
    assert {mode_of(file) for file in (tmp_path / "a" / "b").iterdir()} == {0o600}
    await store.close()


async def test_a_path_with_three_slashes_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    await (await open_store("sqlite:///answerd.db", Bounds())).close()
    assert (tmp_path / "answerd.db").is_file()


@pytest.mark.parametrize("url", ["", "sqlite:///", "sqlite://answerd.db", "postgres:///answerd", "/answerd.db"])
async def test_another_kind_of_url_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"is not of the form sqlite:///PATH\.$"):
        await open_store(url, Bounds())


async def test_the_home_of_a_user_that_there_is_not_is_refused_by_name() -> None:
    with pytest.raises(StoreError) as caught:
        await open_store("sqlite:///~nobody-here/a.db", Bounds())
    assert str(caught.value) == (
        "ANSWERD_STORE is 'sqlite:///~nobody-here/a.db', but '~nobody-here' is nobody's home directory here."
    )


async def test_records_are_there_after_a_restart(tmp_path: Path, clock: FakeClock) -> None:
    await filled(tmp_path / "answerd.db", clock, turns=2)
    store = await SqliteStore.open(tmp_path / "answerd.db", Bounds(), clock)
    record = await store.get("alice", "resp_1")
    assert record is not None
    assert record.response == b"out" * 500
    await store.close()


async def test_a_second_process_is_refused_until_the_first_is_gone_even_if_it_was_killed(
    tmp_path: Path, processes: Processes
) -> None:
    url = f"sqlite:///{tmp_path}/answerd.db"
    command = [sys.executable, "-c", HOLDER, url]
    holder = processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with pytest.raises(StoreLocked, match="is in use by another process: stop that one, or name another file"):
        await open_store(url, Bounds())
    holder.kill()
    holder.wait()
    await (await open_store(url, Bounds())).close()


async def test_a_second_store_in_one_process_is_refused_and_harms_nothing(store: SqliteStore, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(StoreLocked):
            await open_store(f"sqlite:///{tmp_path}/answerd.db", Bounds())
    await store.create(Record("resp_1", "alice", 1000, b""))
    assert await store.get("alice", "resp_1") is not None


def contents_of(path: Path) -> bytes:
    return path.read_bytes()


async def refused_untouched(path: Path, error: type[StoreError]) -> str:
    """What opening is told; the file must stay as it is."""
    before = contents_of(path)
    with pytest.raises(error) as caught:
        await open_store(f"sqlite:///{path}", Bounds())
    assert contents_of(path) == before
    assert str(path) in str(caught.value)
    return str(caught.value)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database\n" * 1000)
    assert "is damaged or not a database; it was left as it is" in await refused_untouched(path, StoreCorrupt)


async def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    await filled(path, clock)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    await refused_untouched(path, StoreCorrupt)


async def test_a_file_with_pages_overwritten_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    await filled(path, clock)
    damaged = bytearray(path.read_bytes())
    damaged[4096 : 10 * 4096] = b"\xa5" * (9 * 4096)
    path.write_bytes(damaged)
    await refused_untouched(path, StoreCorrupt)


async def test_damage_in_a_file_too_large_to_check_is_told_when_it_is_met(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    store = await SqliteStore.open(path, Bounds(), clock)
    await store.create(Record("resp_1", "alice", 1000, b"x" * 17 * 2**20))
    await store.close()
    root = root_page_of(path, "records")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    store = await SqliteStore.open(path, Bounds(), clock)
    with pytest.raises(StoreCorrupt):
        await store.get("alice", "resp_1")
    await store.close()


def root_page_of(path: Path, table: str) -> int:
    connection = sqlite3.connect(path)
    (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", [table]).fetchone()
    connection.close()
    return int(page)


async def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    assert "is the database of another program" in await refused_untouched(path, StoreCorrupt)


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    store = await open_store(f"sqlite:///{tmp_path}/empty.db", Bounds())
    await store.create(Record("resp_1", "alice", 1000, b""))
    assert (await store.counts()).records == 1
    await store.close()


async def test_a_path_that_cannot_hold_a_file_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable, match=r"cannot be created: Not a directory\.$"):
        await open_store(f"sqlite:///{tmp_path}/file/answerd.db", Bounds())
    with pytest.raises(StoreUnavailable, match="cannot be used now: it cannot be opened"):
        await open_store(f"sqlite:///{tmp_path}", Bounds())


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_only_what_was_promised_waits_for_the_disk(tmp_path: Path, durable: bool, level: int) -> None:
    database = Database.open(tmp_path / "answerd.db")
    with database.transaction(durable) as connection:
        # 1 is NORMAL: no flush at a commit. 2 is FULL: one flush.
        assert connection.execute("PRAGMA synchronous").fetchone()[0] == level
    database.close()


def add_a_note(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE records ADD COLUMN note TEXT NOT NULL DEFAULT ''")


def fail_half_way(connection: sqlite3.Connection) -> None:
    add_a_note(connection)
    raise RuntimeError("half way")


def version_of(database: Database) -> int:
    return int(database.connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_older_file_is_brought_up_to_date_with_its_records(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    asyncio.run(filled(path, clock, turns=3))
    database = Database.open(path, migrations=(*MIGRATIONS, add_a_note))
    assert version_of(database) == len(MIGRATIONS) + 1
    assert database.connection.execute("SELECT count(*) FROM records WHERE note = ''").fetchone()[0] == 3
    database.close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    asyncio.run(filled(path, clock, turns=3))
    with pytest.raises(RuntimeError):
        Database.open(path, migrations=(*MIGRATIONS, fail_half_way))
    database = Database.open(path)
    assert version_of(database) == len(MIGRATIONS)
    database.close()


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "answerd.db"
    await filled(path, clock, turns=1)
    await asyncio.to_thread(lambda: Database.open(path, migrations=(*MIGRATIONS, add_a_note)).close())
    sentence = await refused_untouched(path, StoreTooNew)
    assert f"written by a newer answerd (schema {len(MIGRATIONS) + 1}, this one knows {len(MIGRATIONS)})" in sentence


async def test_nothing_but_its_context_is_left_of_a_deleted_parent(tmp_path: Path) -> None:
    """Its events and items go, which nobody will ask for again."""
    path = tmp_path / "answerd.db"
    store = await SqliteStore.open(path, Bounds(), FakeClock())
    await store.create(Record("resp_1", "alice", 1000, b"in"), b"events", ["msg_1"])
    await store.finish("resp_1", "completed", b"out", b"more events", ["msg_2"])
    await store.create(Record("resp_2", "alice", 1000, b"in", parent_id="resp_1"), b"events", ["msg_3"])
    await store.delete("alice", "resp_1")
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(ROWS).fetchone() == (2, 2, 1, 1)
