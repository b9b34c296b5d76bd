"""The SQL of the index from items to records, on a connection within a transaction of the caller's.

An entry holds a hash instead of the id: a fifth of the size, and what two ids share by chance nobody meets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from sqlite3 import Connection

FIND = """
    SELECT r.id FROM items i CROSS JOIN records r USING (seq)
    WHERE i.key = ? AND r.owner = ? AND r.deleted = 0 AND r.hidden = 0 AND r.expires_at > ?
    ORDER BY seq DESC LIMIT 1
"""
ADD = "INSERT OR IGNORE INTO items SELECT ?, seq FROM records WHERE id = ?"
FORGET = "DELETE FROM items WHERE seq = (SELECT seq FROM records WHERE id = ?)"


def add(connection: Connection, owner: str, record_id: str, items: Iterable[str]) -> None:
    connection.executemany(ADD, [(_key(owner, item_id), record_id) for item_id in items])


def find(connection: Connection, owner: str, item_id: str, now: float) -> str | None:
    """The id of the newest live record that has the item."""
    row = connection.execute(FIND, (_key(owner, item_id), owner, now)).fetchone()
    return row and str(row["id"])


def forget(connection: Connection, record_id: str) -> None:
    connection.execute(FORGET, [record_id])


def _key(owner: str, item_id: str) -> int:
    digest = hashlib.blake2b(f"{owner}\n{item_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)
