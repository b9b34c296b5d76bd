"""What a store of responses is: records, what is kept of them, and the operations on them.

It knows ids, owners, parents, states, expiry and sizes. What the bytes mean is not its business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

IN_PROGRESS = "in_progress"
SECONDS_A_DAY = 86400


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept. Unfinished records, and what they descend from, are kept whatever the bounds say.

    `max_bytes` bounds the contents (requests, responses and their compressed events); the file is somewhat larger.
    `max_records` bounds the idempotency keys, too: beyond it the oldest of those whose records are gone go.
    """

    max_age_seconds: int = 30 * SECONDS_A_DAY
    max_records: int = 100_000
    max_bytes: int = 2**30


@dataclass(frozen=True, slots=True)
class Record:
    """One response: its turn's own input (`request`) and what was generated (`response`), both opaque bytes.

    Times are seconds since the epoch. `expires_at`, when creating, may shorten the greatest age, not extend it.
    A tombstone was deleted or has expired, and serves only as context of what descends from it. A hidden one was not to
    be kept: nobody finds it by its id, but for `replay`.
    """

    id: str
    owner: str
    created_at: int
    request: bytes
    parent_id: str | None = None
    status: str = IN_PROGRESS
    response: bytes = b""
    expires_at: int | None = None
    tombstone: bool = False
    hidden: bool = False

    @property
    def size(self) -> int:
        return len(self.request) + len(self.response)


@dataclass(frozen=True, slots=True)
class AnsweredKey:
    """An idempotency key of a record's owner, what was asked with it (`request_hash`), and the record that answers."""

    key: str
    request_hash: bytes
    response_id: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Replay:
    """A record, and the segments of its events in the order in which they were written."""

    record: Record
    segments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """What a store holds. `records` includes tombstones and unfinished ones; `bytes` are those of the contents."""

    records: int
    tombstones: int
    unfinished: int
    bytes: int


class Store(Protocol):
    """Durable responses. Each operation is atomic; one whose caller is cancelled takes place all the same.

    A record is live until it is deleted or expires. A foreign id is an unknown id. Any operation may raise
    StoreUnavailable or StoreCorrupt.
    """

    async def create(
        self, record: Record, events: bytes = b"", items: Sequence[str] = (), key: AnsweredKey | None = None
    ) -> None:
        """Adds an unfinished record with its first events, and makes room for it if a bound is exceeded.

        items: the ids of the items in its request, by which it can be found. key: the one that it answers, which
        nobody else may have at the moment.

        Raises RecordExists, or ParentNotFound unless the parent is live and of the same owner.
        """

    async def checkpoint(self, id: str, events: bytes) -> bool:
        """Adds a segment of events to an unfinished record.

        False, and nothing written, if the record was deleted or is finished.
        """

    async def finish(
        self, id: str, status: str, response: bytes, events: bytes = b"", items: Sequence[str] = ()
    ) -> bool:
        """Ends an unfinished record, with its last events. On return it survives a crash of the machine.

        items: the ids of the items in its response, by which it can be found, too.

        False, and nothing written, if it was deleted meanwhile or is finished already.
        """

    async def get(self, owner: str, id: str) -> Record | None:
        """A live record, or None."""

    async def find_item(self, owner: str, item_id: str) -> Record | None:
        """The newest live record that has an item of this id, or None."""

    async def find_key(self, owner: str, key: str) -> AnsweredKey | None:
        """What was said with an idempotency key that has not expired; its record may be gone by now."""

    async def replay(self, owner: str, id: str) -> Replay | None:
        """A live record with its events, be it hidden, or None."""

    async def chain(self, owner: str, id: str) -> list[Record] | None:
        """A live record and what it descends from, root first, or None. All but the last may be tombstones."""

    async def delete(self, owner: str, id: str) -> bool:
        """Deletes a live record; False if there is none. On return this survives a crash of the machine.

        One that others descend from becomes a tombstone, and goes with the last of them.
        """

    async def unfinished(self) -> list[Record]:
        """Every unfinished record of every owner, oldest first: after a start, what a crash left behind."""

    async def sweep(self) -> int:
        """Removes what has expired, keys included, then the oldest while a bound is exceeded; returns how many records
        went.

        The oldest is the oldest finished record that nothing descends from: the stalest conversation goes first, from
        its end.
        """

    async def counts(self) -> Counts: ...

    async def secret(self) -> bytes:
        """32 random bytes that no other store has, the same as long as this one lives."""

    async def close(self) -> None:
        """Waits for running operations and releases the file. Closing twice is harmless."""
