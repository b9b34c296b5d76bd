from collections.abc import Callable

import pytest

from inference.gguf.convert import Precision
from inference.model import ModelDirectory


@pytest.fixture(scope="session")
def model(converted: Callable[[Precision], ModelDirectory]) -> ModelDirectory:
    """The default model as it is served."""
    return converted("int4")
