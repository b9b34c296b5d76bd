"""Where a model lies on this machine. It knows names and paths, and nothing of what is in the files."""

from __future__ import annotations

from pathlib import Path

from inference.gguf.packaged import packaged_model
from inference.types import ModelFileError
from service.models.spec import ModelSpec
from service.validate.request import DEFAULT_MODEL


def find_model(spec: ModelSpec) -> Path:
    """The file or directory of a model; None and `default` stand for the packaged one. Raises ModelFileError."""
    if spec.source is None or spec.source == DEFAULT_MODEL:
        return packaged_model()
    return _local(spec, spec.source)


def check_source(spec: ModelSpec) -> None:
    """What can be known of a source without effort. Raises ModelFileError."""
    if spec.source is not None and spec.source != DEFAULT_MODEL:
        _local(spec, spec.source)


def _local(spec: ModelSpec, source: str) -> Path:
    path = Path(source).expanduser()
    if path.is_dir() or path.is_file():
        return path
    raise ModelFileError(spec.fault("there is no such file or directory"))
