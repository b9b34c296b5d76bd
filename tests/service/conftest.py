"""Fixtures of the service's tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from service.store import Store
from tests.service.failing_store import FailingStore
from tests.service.served import Served, serving
from tests.support.loop_watch import watched_loop

LONG = "x" * 200
ANSWERS = {"hi": "hello", "hi hi": "hi again", "long": LONG, "nothing": ""}


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    with watched_loop(["common", "inference", "service"]) as watch:
        # The path of a store is made absolute once, before there are any requests.
        watch.functions["os.getcwd"].can_block_in("service/store/__init__.py", "_path_of")
        # gRPC joins its poller when the last of its objects is collected, whosever code runs at that moment.
        watch.functions["threading.Lock.acquire"].can_block_in("threading.py", "_wait_for_tstate_lock")
        yield


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """A server that answers `hi`, `hi hi`, `long` (200 tokens) and `nothing`."""
    async with serving(tmp_path, ANSWERS) as served:
        yield served


@pytest.fixture
async def failing(tmp_path: Path) -> AsyncIterator[tuple[Served, FailingStore]]:
    """A server, and its store, whose operations can be made to fail."""
    stores: list[FailingStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FailingStore(store))
        return stores[0]

    async with serving(tmp_path, ANSWERS, wrap=wrap) as served:
        yield served, stores[0]
