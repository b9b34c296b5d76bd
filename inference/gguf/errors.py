"""What the converter refuses."""

from __future__ import annotations

from inference.types import ModelFileError


class UnsupportedModelError(ModelFileError):
    """The file is sound, but holds something that this converter cannot turn into a graph; its text names it."""
