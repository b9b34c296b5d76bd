"""The SQL of records, on a connection within a transaction of the caller's. Knows no threads, no clock and no files."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from sqlite3 import Connection, Row

from service.store import items
from service.store.errors import ParentNotFound, RecordDamaged, RecordExists
from service.store.protocol import Counts, Record, Replay

WHOLE = "SELECT r.*, c.request, c.response FROM records r JOIN contents c USING (seq) WHERE r.id = ?"
LIVE = "SELECT 1 FROM records WHERE owner = ? AND id = ? AND deleted = 0 AND expires_at > ? AND hidden <= ?"
UNFINISHED = """
    SELECT r.*, c.request, c.response FROM records r JOIN contents c USING (seq)
    WHERE r.status = 'in_progress' AND r.deleted = 0 ORDER BY r.created_at, r.seq
"""
# CROSS JOIN fixes the order: follow the links first, then fetch rows and contents by number.
CHAIN = """
    WITH RECURSIVE links (seq, parent_id, depth) AS (
        SELECT seq, parent_id, 0 FROM records WHERE id = ?
        UNION ALL
        SELECT p.seq, p.parent_id, depth + 1 FROM links CROSS JOIN records p ON p.id = links.parent_id
    )
    SELECT r.*, c.request, c.response, depth
    FROM links CROSS JOIN records r USING (seq) CROSS JOIN contents c USING (seq)
"""


UNFINISHED_SIZE = """
    SELECT seq, owner, length(response) FROM records JOIN contents USING (seq)
    WHERE id = ? AND status = 'in_progress' AND deleted = 0
"""
# Events repeat each other's text, and are read far less often than written: the fastest level is the best.
LEVEL = 1


def insert(
    connection: Connection, record: Record, events: bytes, item_ids: Sequence[str], expires_at: int, now: float
) -> None:
    """Raises RecordExists or ParentNotFound."""
    if connection.execute("SELECT 1 FROM records WHERE id = ?", [record.id]).fetchone():
        raise RecordExists(f"There is a record {record.id} already.")
    if record.parent_id is not None and not is_live(connection, record.owner, record.parent_id, now):
        raise ParentNotFound(f"The parent {record.parent_id} of {record.id} is not there.")
    cursor = connection.execute(
        "INSERT INTO records (id, owner, parent_id, status, created_at, expires_at, size, hidden)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.id,
            record.owner,
            record.parent_id,
            record.status,
            record.created_at,
            expires_at,
            record.size,
            record.hidden,
        ),
    )
    connection.execute("INSERT INTO contents VALUES (?, ?, ?)", (cursor.lastrowid, record.request, record.response))
    _add_segment(connection, cursor.lastrowid, events)
    items.add(connection, record.owner, record.id, item_ids)


def go_on(connection: Connection, id: str, events: bytes) -> bool:
    """Gives an unfinished record more events; False if there is no such record."""
    row = connection.execute(UNFINISHED_SIZE, [id]).fetchone()
    if row is None:
        return False
    _add_segment(connection, row["seq"], events)
    return True


def finish(
    connection: Connection, id: str, status: str, response: bytes, events: bytes, item_ids: Sequence[str]
) -> bool:
    """Gives an unfinished record its response, status, last events and items; False if there is no such record."""
    row = connection.execute(UNFINISHED_SIZE, [id]).fetchone()
    if row is None:
        return False
    seq, owner, size_before = row
    connection.execute(
        "UPDATE records SET status = ?, size = size + ? WHERE seq = ?", (status, len(response) - size_before, seq)
    )
    connection.execute("UPDATE contents SET response = ? WHERE seq = ?", (response, seq))
    _add_segment(connection, seq, events)
    items.add(connection, owner, id, item_ids)
    return True


def _add_segment(connection: Connection, seq: int | None, events: bytes) -> None:
    if not events:
        return
    segment = zlib.compress(events, LEVEL)
    connection.execute("INSERT INTO segments (seq, events) VALUES (?, ?)", (seq, segment))
    connection.execute("UPDATE records SET size = size + ? WHERE seq = ?", (len(segment), seq))


def is_live(connection: Connection, owner: str, id: str, now: float, *, hidden: bool = False) -> bool:
    """hidden: whether it may be."""
    return connection.execute(LIVE, (owner, id, now, hidden)).fetchone() is not None


def get(connection: Connection, owner: str, id: str, now: float, *, hidden: bool = False) -> Record | None:
    if not is_live(connection, owner, id, now, hidden=hidden):
        return None
    return _record(connection.execute(WHOLE, [id]).fetchone(), now)


def find_item(connection: Connection, owner: str, item_id: str, now: float) -> Record | None:
    id = items.find(connection, owner, item_id, now)
    return None if id is None else get(connection, owner, id, now)


def replay(connection: Connection, owner: str, id: str, now: float) -> Replay | None:
    """Raises RecordDamaged."""
    record = get(connection, owner, id, now, hidden=True)
    if record is None:
        return None
    segments = connection.execute(
        "SELECT events FROM segments WHERE seq = (SELECT seq FROM records WHERE id = ?) ORDER BY place", [id]
    )
    try:
        return Replay(record, tuple(zlib.decompress(events) for (events,) in segments))
    except zlib.error:
        raise RecordDamaged(id) from None


def chain(connection: Connection, owner: str, id: str, now: float) -> list[Record] | None:
    if not is_live(connection, owner, id, now):
        return None
    rows = sorted(connection.execute(CHAIN, [id]), key=lambda row: int(row["depth"]), reverse=True)
    return [_record(row, now) for row in rows]


def unfinished(connection: Connection, now: float) -> list[Record]:
    return [_record(row, now) for row in connection.execute(UNFINISHED)]


def counts(connection: Connection) -> Counts:
    row = connection.execute(
        "SELECT records, tombstones,"
        " (SELECT count(*) FROM records WHERE status = 'in_progress' AND deleted = 0), bytes FROM totals"
    ).fetchone()
    return Counts(*row)


def secret(connection: Connection) -> bytes:
    value: bytes = connection.execute("SELECT value FROM secret").fetchone()[0]
    return value


def _record(row: Row, now: float) -> Record:
    return Record(
        id=row["id"],
        owner=row["owner"],
        created_at=row["created_at"],
        request=row["request"],
        parent_id=row["parent_id"],
        status=row["status"],
        response=row["response"],
        expires_at=row["expires_at"],
        tombstone=bool(row["deleted"]) or row["expires_at"] <= now,
        hidden=bool(row["hidden"]),
    )
