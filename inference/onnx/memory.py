"""Memory of the cache on the host or on a CUDA device, behind one interface. Knows addresses, not what they hold."""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort


@dataclass(frozen=True, slots=True)
class Buffer:
    """A zeroed block of device memory; it lives as long as `owner` does."""

    address: int
    owner: Any


class Memory(Protocol):
    """Allocation and copies on one device, as onnxruntime names it."""

    device: str

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """A zeroed buffer. Raises MemoryError if the device has no room."""
        ...

    def copy_rows(self, target: int, source: int, width: int, pitch: int, rows: int) -> None:
        """Copy `rows` runs of `width` bytes that stand `pitch` bytes apart at both addresses."""
        ...


class HostMemory:
    """Pages that the system commits when they are first written, so an unused slot costs nothing."""

    device = "cpu"

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        size = math.prod(shape) * dtype.itemsize
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            # A huge page spans several heads of a slot: the first position of each would commit nearly all of it.
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        return Buffer(np.frombuffer(pages, np.uint8).ctypes.data, pages)

    def copy_rows(self, target: int, source: int, width: int, pitch: int, rows: int) -> None:
        for offset in range(0, rows * pitch, pitch):
            ctypes.memmove(target + offset, source + offset, width)


class CudaMemory:
    """Memory of CUDA device 0; copies go through the CUDA runtime that the provider has loaded."""

    device = "cuda"
    _DEVICE_TO_DEVICE = 3

    def __init__(self, memcpy2d: Callable[..., int] | None = None) -> None:
        self._memcpy2d = memcpy2d or _load_memcpy2d()

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        value = ort.OrtValue.ortvalue_from_shape_and_type([math.prod(shape)], dtype, self.device, 0)
        return Buffer(value.data_ptr(), value)

    def copy_rows(self, target: int, source: int, width: int, pitch: int, rows: int) -> None:
        status = self._memcpy2d(target, pitch, source, pitch, width, rows, self._DEVICE_TO_DEVICE)
        if status != 0:
            raise RuntimeError(f"cudaMemcpy2D failed with status {status}.")


def _load_memcpy2d() -> Callable[..., int]:
    """cudaMemcpy2D(dst, dpitch, src, spitch, width, height, kind) of the CUDA runtime (CUDA Runtime API, 6.10)."""
    for name in ("libcudart.so.13", "libcudart.so.12", "libcudart.so"):
        try:
            function = ctypes.CDLL(name).cudaMemcpy2D
        except OSError:
            continue
        size = ctypes.c_size_t
        function.argtypes = [ctypes.c_void_p, size, ctypes.c_void_p, size, size, size, ctypes.c_int]
        function.restype = ctypes.c_int
        loaded: Callable[..., int] = function
        return loaded
    raise RuntimeError("The CUDA runtime library (libcudart) is not loaded.")
