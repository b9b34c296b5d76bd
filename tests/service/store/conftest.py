"""A store in a folder of the test's own, with a clock that stands still until the test moves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.store import Bounds, SqliteStore
from tests.service.store.model import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def bounds() -> Bounds:
    return Bounds(max_age_seconds=100, max_records=1000, max_bytes=1_000_000)


@pytest.fixture
async def store(tmp_path: Path, bounds: Bounds, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "answerd.db", bounds, clock)
    yield store
    await store.close()
