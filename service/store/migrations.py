"""The schema of the SQLite store, as a list of steps: number n brings `PRAGMA user_version` from n - 1 to n.

A step that was released is never changed. Metadata and contents are apart, so that counting, sweeping and linking
never rewrite contents. Triggers keep what would otherwise need a scan: totals, and the number of children.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from sqlite3 import Connection

SECRET_BYTES = 32

Migration = Callable[[Connection], None]

FIRST_SCHEMA = (
    """
    CREATE TABLE records (
        seq        INTEGER PRIMARY KEY,
        id         TEXT NOT NULL UNIQUE,
        owner      TEXT NOT NULL,
        parent_id  TEXT,
        status     TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        deleted    INTEGER NOT NULL DEFAULT 0,
        children   INTEGER NOT NULL DEFAULT 0,
        size       INTEGER NOT NULL
    )
    """,
    "CREATE TABLE contents (seq INTEGER PRIMARY KEY, request BLOB NOT NULL, response BLOB NOT NULL)",
    "CREATE TABLE totals (records INTEGER NOT NULL, tombstones INTEGER NOT NULL, bytes INTEGER NOT NULL)",
    "INSERT INTO totals VALUES (0, 0, 0)",
    "CREATE INDEX records_by_expiry ON records (expires_at, created_at) WHERE deleted = 0",
    "CREATE INDEX unfinished_records ON records (created_at, seq) WHERE status = 'in_progress' AND deleted = 0",
    "CREATE INDEX finished_leaves ON records (created_at, seq) WHERE status <> 'in_progress' AND children = 0",
    """
    CREATE TRIGGER record_added AFTER INSERT ON records BEGIN
        UPDATE totals SET records = records + 1, bytes = bytes + NEW.size;
        UPDATE records SET children = children + 1 WHERE id = NEW.parent_id;
    END
    """,
    """
    CREATE TRIGGER record_changed AFTER UPDATE OF size, deleted ON records BEGIN
        UPDATE totals SET bytes = bytes + NEW.size - OLD.size, tombstones = tombstones + NEW.deleted - OLD.deleted;
    END
    """,
    """
    CREATE TRIGGER record_removed AFTER DELETE ON records BEGIN
        UPDATE totals SET records = records - 1, bytes = bytes - OLD.size, tombstones = tombstones - OLD.deleted;
        UPDATE records SET children = children - 1 WHERE id = OLD.parent_id;
        DELETE FROM contents WHERE seq = OLD.seq;
    END
    """,
)


def create_first_schema(connection: Connection) -> None:
    for statement in FIRST_SCHEMA:
        connection.execute(statement)


EVENT_SEGMENTS = (
    "CREATE TABLE segments (place INTEGER PRIMARY KEY, seq INTEGER NOT NULL, events BLOB NOT NULL)",
    "CREATE INDEX segments_of_records ON segments (seq, place)",
    """
    CREATE TRIGGER events_removed AFTER DELETE ON records BEGIN
        DELETE FROM segments WHERE seq = OLD.seq;
    END
    """,
)


def add_event_segments(connection: Connection) -> None:
    """The events of a record, compressed, in pieces in the order of `place`. Records made before have none."""
    for statement in EVENT_SEGMENTS:
        connection.execute(statement)


ITEM_INDEX = (
    "CREATE TABLE items (key INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (key, seq)) WITHOUT ROWID",
    "CREATE INDEX items_of_records ON items (seq)",
    """
    CREATE TRIGGER items_removed AFTER DELETE ON records BEGIN
        DELETE FROM items WHERE seq = OLD.seq;
    END
    """,
)


def add_item_index(connection: Connection) -> None:
    """Which records have an item, by a hash of owner and item id. Records made before are not found by their items."""
    for statement in ITEM_INDEX:
        connection.execute(statement)


def add_secret(connection: Connection) -> None:
    """What is sealed for clients to keep can be opened as long as this store lives."""
    connection.execute("CREATE TABLE secret (value BLOB NOT NULL)")
    connection.execute("INSERT INTO secret VALUES (?)", [secrets.token_bytes(SECRET_BYTES)])


KEYS = (
    "ALTER TABLE records ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0",
    """
    CREATE TABLE keys (
        owner        TEXT NOT NULL,
        key          TEXT NOT NULL,
        request_hash BLOB NOT NULL,
        response_id  TEXT NOT NULL,
        expires_at   INTEGER NOT NULL,
        PRIMARY KEY (owner, key)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX keys_by_expiry ON keys (expires_at)",
)


def add_keys(connection: Connection) -> None:
    """Idempotency keys, which outlive their records, and records that only a repeated request may see."""
    for statement in KEYS:
        connection.execute(statement)


KEY_COUNT = (
    "ALTER TABLE totals ADD COLUMN keys INTEGER NOT NULL DEFAULT 0",
    "UPDATE totals SET keys = (SELECT count(*) FROM keys)",
    "CREATE TRIGGER key_added AFTER INSERT ON keys BEGIN UPDATE totals SET keys = keys + 1; END",
    "CREATE TRIGGER key_removed AFTER DELETE ON keys BEGIN UPDATE totals SET keys = keys - 1; END",
)


def count_keys(connection: Connection) -> None:
    for statement in KEY_COUNT:
        connection.execute(statement)


MIGRATIONS: tuple[Migration, ...] = (
    create_first_schema,
    add_event_segments,
    add_item_index,
    add_secret,
    add_keys,
    count_keys,
)


def migrate(connection: Connection, version: int, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Takes the steps after `version`, within the caller's transaction: all of them or none."""
    for number, step in enumerate(migrations[version:], start=version + 1):
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
