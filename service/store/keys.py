"""The SQL of idempotency keys, on a connection within a transaction of the caller's."""

from __future__ import annotations

from sqlite3 import Connection

from service.store.protocol import AnsweredKey


def add(connection: Connection, owner: str, key: AnsweredKey) -> None:
    """In place of one that has expired."""
    connection.execute(
        "INSERT OR REPLACE INTO keys (owner, key, request_hash, response_id, expires_at) VALUES (?, ?, ?, ?, ?)",
        (owner, key.key, key.request_hash, key.response_id, key.expires_at),
    )


def find(connection: Connection, owner: str, key: str, now: float) -> AnsweredKey | None:
    row = connection.execute(
        "SELECT key, request_hash, response_id, expires_at FROM keys WHERE owner = ? AND key = ? AND expires_at > ?",
        (owner, key, now),
    ).fetchone()
    return row and AnsweredKey(*row)


def expire(connection: Connection, now: float) -> None:
    connection.execute("DELETE FROM keys WHERE expires_at <= ?", [now])
