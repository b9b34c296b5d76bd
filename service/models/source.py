"""Where a model lies on this machine. It knows names and paths, and nothing of what is in the files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from common.places import with_home
from inference.gguf.packaged import packaged_model
from inference.types import ModelFileError
from service.models.hub.errors import HubError
from service.models.hub.name import HubName
from service.models.spec import ModelSpec
from service.validate.request import DEFAULT_MODEL

Fetch = Callable[[HubName], Path]
"""Brings a model of the hub to this machine. Raises HubError, and OSError where it cannot be written."""


def find_model(spec: ModelSpec, fetch: Fetch) -> Path:
    """The file or directory of a model; None and `default` stand for the packaged one. Raises ModelFileError."""
    if spec.source is None or spec.source == DEFAULT_MODEL:
        return packaged_model()
    if (name := hub_name(spec)) is None:
        return _local(spec, spec.source)
    try:
        return fetch(name)
    except HubError as error:
        raise ModelFileError(spec.fault(str(error))) from error
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise ModelFileError(spec.fault(f"it cannot be kept: {error.strerror or error}{where}")) from error


def hub_name(spec: ModelSpec) -> HubName | None:
    """What the hub calls the model; None for one that is not from there. Raises ModelFileError for a wrong form."""
    try:
        return HubName.parse(spec.source or DEFAULT_MODEL)
    except HubError as error:
        raise ModelFileError(spec.fault(str(error))) from error


def check_source(spec: ModelSpec) -> None:
    """What can be known of a source without effort. Raises ModelFileError."""
    if spec.source is not None and spec.source != DEFAULT_MODEL and hub_name(spec) is None:
        _local(spec, spec.source)


def _local(spec: ModelSpec, source: str) -> Path:
    try:
        path = with_home(Path(source))
    except LookupError as error:
        raise ModelFileError(spec.fault(str(error))) from None
    if path.is_dir() or path.is_file():
        return path
    raise ModelFileError(spec.fault("there is no such file or directory"))
