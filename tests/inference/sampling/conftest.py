"""Samplers of each kind: with numpy, and with the kernels in both instruction sets. All pass the same tests."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from inference.kernels.library import kernel_library
from inference.sampling.sampler import Sampler
from tests.inference.kernels.products import INSTRUCTIONS

NewSampler: TypeAlias = Callable[[int], Sampler]
"""Takes the size of a vocabulary."""


@pytest.fixture(scope="session", params=["numpy", *INSTRUCTIONS])
def new_sampler(request: pytest.FixtureRequest, model_cache: Path) -> NewSampler:
    return Sampler.of if request.param == "numpy" else _compiled(request, model_cache)


@pytest.fixture(scope="session", params=INSTRUCTIONS)
def compiled_sampler(request: pytest.FixtureRequest, model_cache: Path) -> NewSampler:
    return _compiled(request, model_cache)


def _compiled(request: pytest.FixtureRequest, model_cache: Path) -> NewSampler:
    request.getfixturevalue("own_kernels")
    library = kernel_library(model_cache, INSTRUCTIONS[request.param])
    return lambda size: Sampler.of(size, library)
