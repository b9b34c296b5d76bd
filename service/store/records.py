"""The SQL of records, on a connection within a transaction of the caller's. Knows no threads, no clock and no files."""

from __future__ import annotations

from sqlite3 import Connection, Row

from service.store.errors import ParentNotFound, RecordExists
from service.store.protocol import IN_PROGRESS, Counts, Record

WHOLE = "SELECT r.*, c.request, c.response FROM records r JOIN contents c USING (seq) WHERE r.id = ?"
LIVE = "SELECT 1 FROM records WHERE owner = ? AND id = ? AND deleted = 0 AND expires_at > ?"
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


def insert(connection: Connection, record: Record, expires_at: int, now: float) -> None:
    """Raises RecordExists or ParentNotFound."""
    if connection.execute("SELECT 1 FROM records WHERE id = ?", [record.id]).fetchone():
        raise RecordExists(f"There is a record {record.id} already.")
    if record.parent_id is not None and not is_live(connection, record.owner, record.parent_id, now):
        raise ParentNotFound(f"The parent {record.parent_id} of {record.id} is not there.")
    cursor = connection.execute(
        "INSERT INTO records (id, owner, parent_id, status, created_at, expires_at, size) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (record.id, record.owner, record.parent_id, record.status, record.created_at, expires_at, record.size),
    )
    connection.execute("INSERT INTO contents VALUES (?, ?, ?)", (cursor.lastrowid, record.request, record.response))


def update(connection: Connection, id: str, status: str, response: bytes) -> bool:
    """Gives an unfinished record a response and a status; False if there is no such record."""
    row = connection.execute(
        "SELECT seq, length(request) FROM records JOIN contents USING (seq)"
        " WHERE id = ? AND status = ? AND deleted = 0",
        (id, IN_PROGRESS),
    ).fetchone()
    if row is None:
        return False
    seq, request_bytes = row
    connection.execute(
        "UPDATE records SET status = ?, size = ? WHERE seq = ?", (status, request_bytes + len(response), seq)
    )
    connection.execute("UPDATE contents SET response = ? WHERE seq = ?", (response, seq))
    return True


def is_live(connection: Connection, owner: str, id: str, now: float) -> bool:
    return connection.execute(LIVE, (owner, id, now)).fetchone() is not None


def get(connection: Connection, owner: str, id: str, now: float) -> Record | None:
    if not is_live(connection, owner, id, now):
        return None
    return _record(connection.execute(WHOLE, [id]).fetchone(), now)


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
    )
