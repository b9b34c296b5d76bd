"""The kernels, compiled for each of the instruction sets that they know."""

from pathlib import Path

import pytest

from inference.kernels.library import KernelsUnavailable, kernel_library
from tests.inference.kernels.products import INSTRUCTIONS


@pytest.fixture(scope="session", params=INSTRUCTIONS)
def library(request: pytest.FixtureRequest, model_cache: Path) -> Path:
    return compiled(model_cache, request.param)


def compiled(cache: Path, instructions: str) -> Path:
    try:
        return kernel_library(cache, INSTRUCTIONS[instructions])
    except KernelsUnavailable as error:
        pytest.skip(f"there are no kernels here: {error}")
