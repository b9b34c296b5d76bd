"""What every test may use. Fixtures of one package stand in that package's own conftest."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from inference.gguf.convert import ensure_converted
from inference.gguf.packaged import packaged_model
from inference.model import ModelDirectory
from inference.types import Precision
from tests.support.processes import Processes

# The same examples in every run, however busy the machine is; HYPOTHESIS_PROFILE=default looks for new ones.
settings.register_profile("repeatable", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A run in the background of a script ignores the interrupt, and every process that it starts would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Gives a port of 127.0.0.1 that nobody listens on, another one at each call."""
    given: set[int] = set()

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return find


@pytest.fixture
def processes() -> Iterator[Processes]:
    """Starts processes that do not outlive the test."""
    with Processes() as processes:
        yield processes


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The packaged default model, a GGUF file."""
    return packaged_model()


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder that the whole run shares, so that each precision is converted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def converted(model_file: Path, model_cache: Path) -> Callable[[Precision], ModelDirectory]:
    """Gives the default model converted to a precision."""

    def convert(precision: Precision) -> ModelDirectory:
        return ModelDirectory.open(ensure_converted(model_file, model_cache, precision, lambda done: None))

    return convert
