"""A daemon and a terminal for the documentation's commands."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.daemon import Daemon, run_daemon
from tests.docs.terminal import Terminal


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Iterator[Daemon]:
    """One without API keys."""
    with run_daemon(tmp_path_factory.mktemp("daemon"), model_cache, {}) as running:
        yield running


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A shell in an empty folder."""
    with Terminal(tmp_path_factory.mktemp("terminal")) as opened:
        yield opened
