"""The default model, which prompts and tasks of the benchmark are made for."""

from collections.abc import Callable

import pytest

from inference.model import ModelDirectory
from inference.types import Precision


@pytest.fixture(scope="session")
def model(converted: Callable[[Precision], ModelDirectory]) -> ModelDirectory:
    """The default model as it is served."""
    return converted("int4")
