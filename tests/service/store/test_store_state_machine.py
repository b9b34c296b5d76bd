"""Any sequence of operations does what the model does, over restarts and a moving clock."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from service.store import Bounds, ParentNotFound, Record, RecordExists, SqliteStore
from tests.service.store.model import FakeClock, Model

T = TypeVar("T")
# Few names, so that operations meet: unknown, foreign, repeated and deleted ids all come up.
IDS = st.sampled_from([f"resp_{number}" for number in range(10)])
OWNERS = st.sampled_from(["alice", "alice", "alice", "bob"])
ITEMS = st.lists(st.sampled_from(["item_0", "item_1", "item_2"]), max_size=2)
CONTENTS = st.binary(max_size=20)
BOUNDS = Bounds(max_age_seconds=50, max_records=6, max_bytes=300)


class StoreMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.model = Model(BOUNDS, self.clock)
        self.open()

    def open(self) -> None:
        self.store = self.wait(SqliteStore.open(Path(self.folder.name) / "answerd.db", BOUNDS, self.clock))

    def wait(self, operation: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(operation)

    @rule(
        id=IDS,
        owner=OWNERS,
        parent=st.none() | IDS,
        request=CONTENTS,
        events=CONTENTS,
        items=ITEMS,
        own_expiry=st.none() | st.integers(1, 90),
    )
    def create(
        self,
        id: str,
        owner: str,
        parent: str | None,
        request: bytes,
        events: bytes,
        items: list[str],
        own_expiry: int | None,
    ) -> None:
        now = int(self.clock.now)
        record = Record(id, owner, now, request, parent, expires_at=own_expiry and now + own_expiry)
        try:
            self.wait(self.store.create(record, events, items))
            outcome = None
        except (RecordExists, ParentNotFound) as error:
            outcome = type(error).__name__
        assert outcome == self.model.create(record, events, items)

    @rule(id=IDS, owner=OWNERS, request=CONTENTS, response=CONTENTS, data=st.data())
    def take_a_turn(self, id: str, owner: str, request: bytes, response: bytes, data: st.DataObject) -> None:
        """A whole turn on top of a live record, so that chains grow long."""
        live = [record.id for record in self.model.records.values() if self.model.get(owner, record.id)]
        parent = data.draw(st.sampled_from(live)) if live else None
        self.create(id, owner, parent, request, b"begun", [f"item_of_{id}"], None)
        self.finish(id, "completed", response, b"done", ["item_0"])

    @rule(id=IDS, events=CONTENTS)
    def checkpoint(self, id: str, events: bytes) -> None:
        assert self.wait(self.store.checkpoint(id, events)) == self.model.checkpoint(id, events)

    @rule(
        id=IDS,
        status=st.sampled_from(["completed", "incomplete", "failed"]),
        response=CONTENTS,
        events=CONTENTS,
        items=ITEMS,
    )
    def finish(self, id: str, status: str, response: bytes, events: bytes, items: list[str]) -> None:
        expected = self.model.finish(id, status, response, events, items)
        assert self.wait(self.store.finish(id, status, response, events, items)) == expected

    @rule(id=IDS, owner=OWNERS)
    def delete(self, id: str, owner: str) -> None:
        assert self.wait(self.store.delete(owner, id)) == self.model.delete(owner, id)

    @rule()
    def sweep(self) -> None:
        assert self.wait(self.store.sweep()) == self.model.sweep()

    @rule(seconds=st.integers(0, 40))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.now += seconds

    @rule()
    def restart(self) -> None:
        self.wait(self.store.close())
        self.open()

    @rule(id=IDS, owner=OWNERS)
    def read(self, id: str, owner: str) -> None:
        assert self.wait(self.store.get(owner, id)) == self.model.get(owner, id)
        assert self.wait(self.store.replay(owner, id)) == self.model.replay(owner, id)
        assert self.wait(self.store.chain(owner, id)) == self.model.chain(owner, id)

    @rule(item=st.sampled_from(["item_0", "item_1", "item_of_resp_0", "item_9"]), owner=OWNERS)
    def find(self, item: str, owner: str) -> None:
        assert self.wait(self.store.find_item(owner, item)) == self.model.find_item(owner, item)

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert self.wait(self.store.counts()) == self.model.counts()
        unfinished = self.wait(self.store.unfinished())
        assert [record.id for record in unfinished] == self.model.unfinished()
        assert [replace(r, tombstone=False) for r in unfinished] == [self.model.records[r.id] for r in unfinished]

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.wait(self.store.close())
            self.loop.close()
            self.folder.cleanup()


BRIEF = settings(max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LONG = settings(BRIEF, max_examples=1000, stateful_step_count=100)


@pytest.mark.parametrize("length", [BRIEF, pytest.param(LONG, marks=pytest.mark.slow)], ids=["brief", "long"])
def test_any_sequence_of_operations_does_what_the_model_does(length: settings) -> None:
    run_state_machine_as_test(StoreMachine, settings=length)
