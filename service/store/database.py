"""One SQLite file, opened for this process alone: locked, checked, migrated, and its errors put into words.

It knows nothing of records. A file that is not ours, is damaged or is too new is refused before anything is written.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from service.store.errors import StoreCorrupt, StoreLocked, StoreTooNew, StoreUnavailable
from service.store.migrations import MIGRATIONS, Migration, migrate

APPLICATION_ID = int.from_bytes(b"answ")
# Reading a file of this size takes some hundredths of a second; beyond it, damage is met when it is read.
CHECKED_BYTES = 16 * 2**20
WAL_BYTES = 16 * 2**20

DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
REASONS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "it is not permitted",
    sqlite3.SQLITE_NOMEM: "memory ran out",
}


class Database:
    """The connection. Every method, and everything done with `connection`, belongs on the thread that opened it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection

    @classmethod
    def open(cls, path: Path, max_pages: int | None = None, migrations: Sequence[Migration] = MIGRATIONS) -> Database:
        """Opens or creates the file, and its folders, for this user alone.

        `max_pages` bounds the file (pages of 4096 bytes). Raises StoreLocked, StoreCorrupt, StoreTooNew or
        StoreUnavailable.
        """
        _create_private(path)
        with _in_words(path):
            # Not waiting for a lock: who holds it keeps it for as long as it runs.
            connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        connection.row_factory = sqlite3.Row
        database = cls(path, connection)
        try:
            database._prepare(max_pages, migrations)
        except BaseException:
            connection.close()
            raise
        return database

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing. What it committed survives the end of this process, however that comes; a durable one
        survives a power cut too, for the price of one flush of the disk."""
        with _in_words(self.path):
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        # After some errors SQLite has rolled back already.
        with suppress(sqlite3.Error):
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")

    def _prepare(self, max_pages: int | None, migrations: Sequence[Migration]) -> None:
        with _in_words(self.path):
            # Locks the file itself, for as long as the connection lives; the system releases it if we are killed.
            self._pragma("locking_mode = EXCLUSIVE")
            version = self._accepted_version(len(migrations))
            if max_pages is not None:
                self._pragma(f"max_page_count = {max_pages}")
            self._pragma("journal_mode = WAL")
            self._pragma(f"journal_size_limit = {WAL_BYTES}")
            self._pragma("temp_store = MEMORY")
        if version < len(migrations):
            with self.transaction(durable=True) as connection:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(connection, version, migrations)

    def _accepted_version(self, newest: int) -> int:
        tables = self.connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and self._pragma("application_id") != APPLICATION_ID:
            raise StoreCorrupt(
                f"The store {self.path} is the database of another program; it was left as it is."
                " Name another file with ANSWERD_STORE."
            )
        version = int(str(self._pragma("user_version")))
        if version > newest:
            raise StoreTooNew(
                f"The store {self.path} was written by a newer answerd (schema {version}, this one knows {newest});"
                " it was left as it is. Start that version, or name another file with ANSWERD_STORE."
            )
        if self.path.stat().st_size <= CHECKED_BYTES and self._pragma("quick_check(1)") != "ok":
            raise _corrupt(self.path)
        return version

    def _pragma(self, text: str) -> object:
        row = self.connection.execute(f"PRAGMA {text}").fetchone()
        return row and row[0]


def _create_private(path: Path) -> None:
    try:
        for folder in [*reversed(path.parents)]:
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
        # Only a new file is opened here: closing an existing one would release a lock this process holds on it.
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreUnavailable(f"The store {path} cannot be created: {error.strerror}.") from error


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into those of the store; a mistake in our SQL stays what it is."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreLocked(
                f"The store {path} is in use by another process: stop that one, or name another file with"
                " ANSWERD_STORE."
            ) from error
        if code in DAMAGE:
            raise _corrupt(path) from error
        if code in REASONS:
            raise StoreUnavailable(
                f"The store {path} cannot be used now: {REASONS[code]}; nothing already stored is lost."
            ) from error
        raise


def _corrupt(path: Path) -> StoreCorrupt:
    return StoreCorrupt(
        f"The store {path} is damaged or not a database; it was left as it is."
        " Put a copy in its place, or move it away to start with an empty one."
    )
