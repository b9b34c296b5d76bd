"""The model that everything here runs: a GGUF file, and the directories converted from it."""

from __future__ import annotations

from pathlib import Path

from inference.gguf.convert import ensure_converted
from inference.kernels.library import find_library
from inference.model import ModelDirectory
from inference.types import Precision


def open_model(gguf: Path, cache: Path, precision: Precision) -> ModelDirectory:
    """The model of a GGUF file in a precision, converted if the cache does not have it. Raises ModelFileError."""
    kernels = find_library(cache) is not None
    return ModelDirectory.open(ensure_converted(gguf, cache, precision, lambda share: None, kernels=kernels))
