"""Whether answerd's own kernels compute and sample a model, and what is to be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from common.settings import Settings
from inference.kernels.library import KernelsUnavailable, kernel_library
from inference.model import ModelDirectory
from inference.types import ModelFileError

if TYPE_CHECKING:
    from inference.onnx.provider import Provider


@dataclass(frozen=True)
class Kernels:
    """library: for this machine, or None. operators: the same where ONNX Runtime may compute with it: on the CPU.
    missing: why there is none, a clause, or "" where none is wanted. unfit: why they cannot compute, another one."""

    library: Path | None = None
    operators: Path | None = None
    missing: str = ""
    unfit: str = "ANSWERD_KERNELS is off"

    @classmethod
    def find(cls, settings: Settings, provider: Provider) -> Kernels:
        """Those of this machine, compiled if need be, which takes two seconds, once."""
        if settings.kernels == "off":
            return cls()
        on_cuda = "they compute on the CPU alone"
        try:
            library = kernel_library(settings.cache_dir)
        except KernelsUnavailable as error:
            return cls(missing=str(error), unfit=on_cuda if provider.is_cuda else str(error))
        return cls(library, unfit=on_cuda) if provider.is_cuda else cls(library, library)

    def check(self, directory: ModelDirectory) -> None:
        """Raises ModelFileError for a directory that was converted for them where there are none, and says why."""
        if directory.config.kernels and self.operators is None:
            raise ModelFileError(f"{directory.path} was converted for answerd's kernels, but {self.unfit}.")

    def clause(self, directory: ModelDirectory) -> str:
        """What the sentence about the provider goes on with."""
        if directory.config.kernels:
            return " with answerd's kernels"
        return f" without answerd's faster kernels: {self.missing}" if self.missing else ""
