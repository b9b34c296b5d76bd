"""Real servers for real clients. Most tests share one; those that harm theirs start their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import httpx2
import openai
import pytest

from tests.e2e.api import Api
from tests.e2e.rpc import Rpc
from tests.support.replies import CheckedAsyncTransport, CheckedTransport
from tests.support.server import Server

Start: TypeAlias = Callable[..., Server]
BODY_LIMIT = 2**20
MAKE_RUN = ("make", "run", f"PYTHON={sys.executable}")


class Fleet:
    """The servers that run now. Each has a folder of its own; they share the converted models."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "cache"
        self._folder = folder
        self.servers: list[Server] = []
        self._closed: list[Server] = []

    def begin(self, output: int = subprocess.PIPE, make_in: Path | None = None, **settings: object) -> Server:
        """Starts one and does not wait for it. output: as in Server. make_in: a checkout where it is `make run`."""
        store = f"sqlite:///{self._folder / f'{len(self.servers)}.db'}"
        given = {"cache_dir": self.cache, "store": store, **settings}
        server = Server(given, output, MAKE_RUN, make_in) if make_in else Server(given, output)
        self.servers.append(server)
        return server

    def start(self, output: int = subprocess.PIPE, make_in: Path | None = None, **settings: object) -> Server:
        """Starts one that is ready."""
        server = self.begin(output, make_in, **settings)
        server.wait_until_ready()
        return server

    def close(self, server: Server) -> None:
        self._closed.append(server)
        server.close()

    def open_servers(self) -> list[Server]:
        return [server for server in self.servers if server not in self._closed]


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("servers"))
    yield fleet
    for server in fleet.open_servers():
        fleet.close(server)


@pytest.fixture(scope="session")
def pair(fleet: Fleet) -> tuple[Server, Server]:
    """Two servers that were started at once on one empty cache folder: a usual one, and one with a single slot."""
    both = (fleet.begin(max_body_bytes=BODY_LIMIT), fleet.begin(slots=1, queue=1))
    for server in both:
        server.wait_until_ready()
    return both


@pytest.fixture(scope="session")
def server(pair: tuple[Server, Server]) -> Server:
    """The server that most tests share."""
    return pair[0]


@pytest.fixture(scope="session")
def narrow(pair: tuple[Server, Server]) -> Server:
    """A server that generates one response at a time, while one more may wait."""
    return pair[1]


@pytest.fixture
def start(fleet: Fleet, pair: tuple[Server, Server]) -> Iterator[Start]:
    """Starts servers for one test, with the converted model at hand; they are stopped after it."""
    before = fleet.open_servers()
    yield fleet.start
    for server in fleet.open_servers():
        if server not in before:
            fleet.close(server)


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    with Api(server.url) as api:
        yield api


@pytest.fixture
def rpc(server: Server) -> Iterator[Rpc]:
    with Rpc(server.grpc_target) as rpc:
        yield rpc


@pytest.fixture
def sdk(server: Server) -> Iterator[openai.OpenAI]:
    http_client = httpx2.Client(transport=CheckedTransport())
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture
async def async_sdk(server: Server) -> AsyncIterator[openai.AsyncOpenAI]:
    http_client = httpx2.AsyncClient(transport=CheckedAsyncTransport())
    url = f"{server.url}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture(autouse=True)
def logs(fleet: Fleet) -> Iterator[None]:
    """Shows what the servers logged during a test that fails."""
    before = {server: len(server.log.lines) for server in fleet.servers}
    yield
    for server in fleet.servers:
        if new := server.log.lines[before.get(server, 0) :]:
            print(f"--- {server.url}", *new, sep="\n")
