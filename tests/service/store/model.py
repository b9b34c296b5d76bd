"""What the store promises, said again as plainly as possible over a dictionary, and a clock that tests set."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from service.store import IN_PROGRESS, Bounds, Counts, Record, Replay


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Model:
    """`records` in the order of creation; a deleted one that is still there is in `deleted`."""

    bounds: Bounds
    clock: FakeClock
    records: dict[str, Record] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    events: dict[str, list[bytes]] = field(default_factory=dict)
    items: dict[str, set[str]] = field(default_factory=dict)

    def create(self, record: Record, events: bytes = b"", items: Sequence[str] = ()) -> str | None:
        """None, or what is wrong."""
        if record.id in self.records:
            return "RecordExists"
        if record.parent_id is not None and self.get(record.owner, record.parent_id) is None:
            return "ParentNotFound"
        latest = record.created_at + self.bounds.max_age_seconds
        self.records[record.id] = replace(record, expires_at=min(record.expires_at or latest, latest))
        self.events[record.id] = [events] if events else []
        self.items[record.id] = {*items}
        if self._exceeds():
            self.sweep()
        return None

    def checkpoint(self, id: str, events: bytes) -> bool:
        record = self.records.get(id)
        return record is not None and self.finish(id, record.status, record.response, events, ())

    def finish(self, id: str, status: str, response: bytes, events: bytes, items: Sequence[str]) -> bool:
        record = self.records.get(id)
        if record is None or id in self.deleted or record.status != IN_PROGRESS:
            return False
        self.records[id] = replace(record, status=status, response=response)
        self.events[id] += [events] if events else []
        self.items[id].update(items)
        return True

    def get(self, owner: str, id: str) -> Record | None:
        record = self.records.get(id)
        if record is None or record.owner != owner or self._dead(record):
            return None
        return record

    def find_item(self, owner: str, item_id: str) -> Record | None:
        found = [self.get(owner, id) for id in self.records if item_id in self.items[id]]
        return next((record for record in reversed(found) if record is not None), None)

    def replay(self, owner: str, id: str) -> Replay | None:
        record = self.get(owner, id)
        return None if record is None else Replay(record, tuple(self.events[id]))

    def chain(self, owner: str, id: str) -> list[Record] | None:
        if self.get(owner, id) is None:
            return None
        links: list[Record] = []
        at: str | None = id
        while at is not None:
            record = self.records[at]
            links.insert(0, replace(record, tombstone=self._dead(record)))
            at = record.parent_id
        return links

    def delete(self, owner: str, id: str) -> bool:
        if self.get(owner, id) is None:
            return False
        self._discard(id)
        return True

    def unfinished(self) -> list[str]:
        return [id for id, record in self.records.items() if record.status == IN_PROGRESS and id not in self.deleted]

    def sweep(self) -> int:
        before = len(self.records)
        for id, record in list(self.records.items()):
            if id not in self.deleted and self._finished(record) and self._dead(record):
                self._discard(id)
        while self._exceeds():
            leaves = [r for r in self.records.values() if self._finished(r) and not self._has_children(r.id)]
            if not leaves:
                break
            # min takes the first created of those with one time.
            self._discard(min(leaves, key=lambda r: r.created_at).id)
        return before - len(self.records)

    def counts(self) -> Counts:
        size = sum(len(r.request) + len(r.response) for r in self.records.values())
        size += sum(len(zlib.compress(segment, 1)) for segments in self.events.values() for segment in segments)
        return Counts(len(self.records), len(self.deleted), len(self.unfinished()), size)

    def _discard(self, id: str) -> None:
        self.deleted.add(id)
        self.events[id] = []
        while idle := [id for id in self.deleted if not self._has_children(id)]:
            self.deleted.remove(idle[0])
            del self.records[idle[0]]
            del self.events[idle[0]]

    def _exceeds(self) -> bool:
        counts = self.counts()
        return counts.records > self.bounds.max_records or counts.bytes > self.bounds.max_bytes

    def _has_children(self, id: str) -> bool:
        return any(record.parent_id == id for record in self.records.values())

    def _dead(self, record: Record) -> bool:
        assert record.expires_at is not None
        return record.id in self.deleted or record.expires_at <= self.clock.now

    @staticmethod
    def _finished(record: Record) -> bool:
        return record.status != IN_PROGRESS
