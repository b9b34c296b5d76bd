"""What goes, and when: deletion with tombstones, expiry, and the bounds on count and bytes.

Runs within a transaction of the caller's. Knows no threads, no clock and no files; looks at no record that stays.
"""

from __future__ import annotations

from sqlite3 import Connection

from service.store import items, keys
from service.store.protocol import Bounds

EXPIRED = "SELECT id FROM records WHERE deleted = 0 AND status <> 'in_progress' AND expires_at <= ?"
OLDEST = """SELECT id FROM records WHERE status <> 'in_progress' AND children = 0
    ORDER BY created_at, seq LIMIT 1"""

# Nobody will ask for the events or the items of a tombstone.
BURY = """UPDATE records SET deleted = 1,
    size = (SELECT length(request) + length(response) FROM contents WHERE contents.seq = records.seq) WHERE id = ?"""
FORGET_EVENTS = "DELETE FROM segments WHERE seq = (SELECT seq FROM records WHERE id = ?)"


def discard(connection: Connection, id: str) -> None:
    """Removes a record, or makes it a tombstone while others descend from it."""
    children = connection.execute("SELECT children FROM records WHERE id = ?", [id]).fetchone()[0]
    if children:
        connection.execute(BURY, [id])
        connection.execute(FORGET_EVENTS, [id])
        items.forget(connection, id)
    else:
        _remove(connection, id)


def expire(connection: Connection, now: float) -> None:
    keys.expire(connection, now)
    for (id,) in connection.execute(EXPIRED, [now]).fetchall():
        discard(connection, id)


def shrink(connection: Connection, bounds: Bounds) -> None:
    """Removes the oldest finished leaf until the bounds hold, or only unfinished records and their ancestors remain."""
    while exceeds(connection, bounds):
        oldest = connection.execute(OLDEST).fetchone()
        if oldest is None:
            return
        _remove(connection, oldest[0])


def exceeds(connection: Connection, bounds: Bounds) -> bool:
    records, size = connection.execute("SELECT records, bytes FROM totals").fetchone()
    return bool(records > bounds.max_records or size > bounds.max_bytes)


def tighten(connection: Connection, max_age_seconds: int) -> None:
    """Applies a greatest age that was lowered since the records were made."""
    connection.execute(
        "UPDATE records SET expires_at = created_at + :age WHERE deleted = 0 AND expires_at > created_at + :age",
        {"age": max_age_seconds},
    )


def _remove(connection: Connection, id: str) -> None:
    """Removes a record without children, and then every tombstone above it that served only this one."""
    going: str | None = id
    while going is not None:
        parent_id = connection.execute("SELECT parent_id FROM records WHERE id = ?", [going]).fetchone()[0]
        connection.execute("DELETE FROM records WHERE id = ?", [going])
        idle = connection.execute(
            "SELECT 1 FROM records WHERE id = ? AND deleted = 1 AND children = 0", [parent_id]
        ).fetchone()
        going = parent_id if idle else None
