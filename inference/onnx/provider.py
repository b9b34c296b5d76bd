"""Which execution provider runs the model, and why: CUDA where it really works, else the CPU. Knows no model."""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnxruntime as ort

from inference.types import InferenceError

Wanted = Literal["auto", "cuda", "cpu"]
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"

# The graph y = x + x over one float: proves that a session on the device can be made and run.
_PROBE_GRAPH = bytes.fromhex(
    "080a3a390a0e0a01780a01781201792203416464120570726f62655a0f0a0178120a"
    "0a08080112040a020801620f0a0179120a0a08080112040a02080142040a001015"
)


class ProviderUnavailable(InferenceError):
    """The provider that was asked for by name does not work here."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The chosen provider, as onnxruntime names it, and one clause that says why."""

    name: str
    reason: str

    @property
    def is_cuda(self) -> bool:
        return self.name == CUDA


def choose_provider(wanted: Wanted, probe: Callable[[], str | None] | None = None) -> Provider:
    """CUDA if it is wanted and works, else the CPU; `probe` gives what is wrong with CUDA, or None.

    Raises ProviderUnavailable if CUDA was asked for by name and does not work.
    """
    if wanted == "cpu":
        return Provider(CPU, "it was asked for")
    problem = (probe or probe_cuda)()
    if problem is None:
        return Provider(CUDA, "a CUDA device works")
    if wanted == "cuda":
        raise ProviderUnavailable(f"The provider cuda was asked for, but {problem}.")
    return Provider(CPU, problem)


def probe_cuda() -> str | None:
    """What keeps CUDA from working here, as a clause, or None if a tiny session ran on the device."""
    if CUDA not in ort.get_available_providers():
        return "this build of ONNX Runtime has no CUDA provider"
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda.so.1)"
    # preload_dlls tells of missing libraries on standard output; the session below says it in one sentence.
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()
    return _run_probe()


def _run_probe() -> str | None:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(_PROBE_GRAPH, options, providers=[CUDA])
        if session.get_providers()[0] != CUDA:
            return "the CUDA libraries could not be loaded (`make run CUDA=1` installs them)"
        session.run(None, {"x": np.ones(1, np.float32)})
    except Exception as error:  # whatever the driver says, it is the reason for the CPU
        return f"a session on the CUDA device failed ({str(error).splitlines()[0][:200]})"
    return None
