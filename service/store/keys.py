"""The SQL of idempotency keys, on a connection within a transaction of the caller's."""

from __future__ import annotations

from sqlite3 import Connection

from service.store.protocol import AnsweredKey

# Not OR REPLACE, which removes without a trigger.
ADD = """
    INSERT INTO keys (owner, key, request_hash, response_id, expires_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET request_hash = excluded.request_hash, response_id = excluded.response_id,
    expires_at = excluded.expires_at
"""
FORGET = """
    DELETE FROM keys WHERE (owner, key) IN (
        SELECT owner, key FROM keys WHERE NOT EXISTS (SELECT 1 FROM records WHERE id = response_id)
        ORDER BY expires_at LIMIT ?
    )
"""


def add(connection: Connection, owner: str, key: AnsweredKey) -> None:
    """In place of one that has expired."""
    connection.execute(ADD, (owner, key.key, key.request_hash, key.response_id, key.expires_at))


def find(connection: Connection, owner: str, key: str, now: float) -> AnsweredKey | None:
    row = connection.execute(
        "SELECT key, request_hash, response_id, expires_at FROM keys WHERE owner = ? AND key = ? AND expires_at > ?",
        (owner, key, now),
    ).fetchone()
    return row and AnsweredKey(*row)


def expire(connection: Connection, now: float) -> None:
    connection.execute("DELETE FROM keys WHERE expires_at <= ?", [now])


def shrink(connection: Connection, at_most: int, now: float) -> None:
    """Removes the oldest keys whose records are gone while there are more than `at_most`. Those whose records are there
    are as many as these at most, and none of them goes first: what can be given again is never made again."""
    if _surplus(connection, at_most) > 0:
        expire(connection, now)
        connection.execute(FORGET, [max(0, _surplus(connection, at_most))])


def _surplus(connection: Connection, at_most: int) -> int:
    count: int = connection.execute("SELECT keys FROM totals").fetchone()[0]
    return count - at_most
