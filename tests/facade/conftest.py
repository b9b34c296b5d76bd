"""A facade and a fake service, each on a port of its own, and a client between them and the test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from common.settings import Settings
from facade.patience import Patience
from facade.server import Facade
from service.store import Store
from tests.facade.fake_service import FakeService
from tests.facade.whole import Whole, whole
from tests.service.conftest import ANSWERS
from tests.service.failing_store import FailingStore
from tests.support.loop_watch import watched_loop
from tests.support.replies import CheckedReply

StartFacade = Callable[..., Awaitable[str]]


@pytest.fixture(autouse=True)
def watched() -> Iterator[None]:
    with watched_loop(["common", "facade"]):
        yield


@pytest.fixture
async def service(free_port: Callable[[], int]) -> AsyncIterator[FakeService]:
    async with FakeService(free_port()) as fake:
        yield fake


@pytest.fixture
async def start_facade(service: FakeService, free_port: Callable[[], int]) -> AsyncIterator[StartFacade]:
    """Starts a facade of the fake service with settings of the test's choice and gives its URL."""
    async with AsyncExitStack() as stack:

        async def start(patience: Patience | None = None, **settings: Any) -> str:
            chosen = {"http_port": free_port(), "grpc_port": service.port, "grace_seconds": 0} | settings
            facade = Facade(Settings(**chosen), patience)
            await facade.start()
            stack.push_async_callback(facade.stop)
            return f"http://127.0.0.1:{chosen['http_port']}"

        yield start


@pytest.fixture
async def url(start_facade: StartFacade) -> str:
    """The URL of a facade with default settings."""
    return await start_facade()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Every reply that a test reads whole is checked against the contract."""
    async with aiohttp.ClientSession(response_class=CheckedReply) as session:
        yield session


@pytest.fixture
async def harmed(tmp_path: Path, free_port: Callable[[], int]) -> AsyncIterator[tuple[Whole, FailingStore]]:
    """A whole server, and its store, whose operations can be made to fail, or held."""
    stores: list[FailingStore] = []

    def wrap(store: Store) -> Store:
        stores.append(FailingStore(store))
        return stores[0]

    async with whole(tmp_path, free_port, ANSWERS, wrap=wrap) as made:
        yield made, stores[0]
