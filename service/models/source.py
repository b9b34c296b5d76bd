"""Where a model lies on this machine. It knows names and paths, and nothing of what is in the files."""

from __future__ import annotations

from pathlib import Path

from inference.gguf.packaged import packaged_model
from inference.types import ModelFileError
from service.validate.request import DEFAULT_MODEL


def find_model(wanted: str | None) -> Path:
    """The file or directory of a model; None and `default` stand for the packaged one. Raises ModelFileError."""
    if wanted is None or wanted == DEFAULT_MODEL:
        return packaged_model()
    path = Path(wanted).expanduser()
    if path.is_dir() or path.is_file():
        return path
    raise ModelFileError(f"ANSWERD_MODEL is {wanted!r}, but there is no such file or directory.")
