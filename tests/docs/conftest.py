"""A server and a terminal for the documentation's commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.terminal import Terminal
from tests.support.server import Server, running


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Server]:
    """One without API keys."""
    store = tmp_path_factory.mktemp("server") / "store.db"
    with running({"cache_dir": model_cache, "store": f"sqlite:///{store}"}) as server:
        yield server


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A shell in an empty folder."""
    with Terminal(tmp_path_factory.mktemp("terminal")) as opened:
        yield opened
