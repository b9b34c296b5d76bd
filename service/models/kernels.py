"""Whether a model is computed with answerd's own kernels, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.settings import Settings
from inference.kernels.library import KernelsUnavailable, kernel_library
from inference.types import ModelFileError

if TYPE_CHECKING:
    from inference.onnx.provider import Provider


@dataclass(frozen=True)
class Kernels:
    """library: what ONNX Runtime is to load, or None. clause: what the sentence about the provider goes on with."""

    library: Path | None = None
    clause: str = ""

    @classmethod
    def find(cls, settings: Settings, provider: Provider) -> Kernels:
        """Those of this machine, compiled if need be, which takes two seconds, once."""
        if provider.is_cuda or settings.kernels == "off":
            return cls()
        try:
            return cls(kernel_library(settings.cache_dir), " with answerd's kernels")
        except KernelsUnavailable as error:
            return cls(clause=f" without answerd's faster kernels: {error}")

    @classmethod
    def needed(cls, directory: Path, settings: Settings, provider: Provider) -> Kernels:
        """For a directory that was converted for them. Raises ModelFileError, which says why there are none."""
        found = cls.find(settings, provider)
        if found.library is None:
            why = found.clause.partition(": ")[2] or "they compute on the CPU alone, and ANSWERD_KERNELS must be auto"
            raise ModelFileError(f"{directory} was converted for answerd's kernels, but {why}.")
        return found
