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
from inference.kernels.library import KernelsUnavailable, find_library, kernel_library
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
def operators(model_cache: Path) -> Path | None:
    """The library of answerd's kernels, as the service finds it; None on machines that cannot have it."""
    return find_library(model_cache)


@pytest.fixture(scope="session")
def own_kernels(model_cache: Path) -> Path:
    """The same, for tests of nothing else; without it they are skipped."""
    try:
        return kernel_library(model_cache)
    except KernelsUnavailable as error:
        pytest.skip(f"there are no kernels here: {error}")


@pytest.fixture(scope="session")
def converted(model_file: Path, model_cache: Path, operators: Path | None) -> Callable[[Precision], ModelDirectory]:
    """Gives the default model converted to a precision, as the service converts it."""

    def convert(precision: Precision) -> ModelDirectory:
        kernels = operators is not None
        directory = ensure_converted(model_file, model_cache, precision, lambda done: None, kernels=kernels)
        return ModelDirectory.open(directory)

    return convert
