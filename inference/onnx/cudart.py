"""The two functions that answerd calls in the CUDA runtime itself. Knows no sessions."""

from __future__ import annotations

import ctypes
from typing import Protocol


class CudaRuntime(Protocol):
    """What is needed of libcudart (CUDA Runtime API, memory and device management)."""

    def copy(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int, kind: int
    ) -> None:
        """cudaMemcpy2D: `rows` runs of `width` bytes. Raises RuntimeError with the status if it fails."""
        ...

    def synchronize(self) -> None:
        """cudaDeviceSynchronize: wait for everything on the device."""
        ...


class Cudart:
    """The library that the CUDA provider has loaded."""

    def __init__(self) -> None:
        library = _load()
        size, pointer = ctypes.c_size_t, ctypes.c_void_p
        library.cudaMemcpy2D.argtypes = [pointer, size, pointer, size, size, size, ctypes.c_int]
        self._library = library

    def copy(
        self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int, kind: int
    ) -> None:
        self._check(self._library.cudaMemcpy2D(target, target_pitch, source, source_pitch, width, rows, kind))

    def synchronize(self) -> None:
        self._check(self._library.cudaDeviceSynchronize())

    @staticmethod
    def _check(status: int) -> None:
        if status != 0:
            raise RuntimeError(f"A call of the CUDA runtime failed with status {status}.")


def _load() -> ctypes.CDLL:
    for name in ("libcudart.so.13", "libcudart.so.12", "libcudart.so"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise RuntimeError("The CUDA runtime library (libcudart) is not loaded.")
