"""Memory on the host or on a CUDA device, behind one interface. Knows addresses, not what they hold."""

from __future__ import annotations

import ctypes
import math
import mmap
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.onnx.cudart import Cudart, CudaRuntime

_HOST_TO_DEVICE, _DEVICE_TO_HOST, _DEVICE_TO_DEVICE = 1, 2, 3  # cudaMemcpyKind


@dataclass(frozen=True, slots=True)
class Buffer:
    """A zeroed block of device memory; it lives as long as `owner` does."""

    address: int
    owner: Any


class Mirror(Protocol):
    """An array on the host and its twin on the device, which are the same thing on the host itself."""

    array: NDArray[Any]
    address: int

    def push(self, count: int) -> None:
        """The first `count` elements of the array are on the device."""
        ...

    def pull(self, count: int) -> None:
        """The first `count` elements on the device are in the array."""
        ...


class Memory(Protocol):
    """Allocation and copies on one device, as onnxruntime names it."""

    device: str

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        """A zeroed buffer. Raises MemoryError if the device has no room."""
        ...

    def mirror(self, size: int, dtype: np.dtype[Any]) -> Mirror:
        """A zeroed vector with a twin on the device."""
        ...

    def copy_rows(self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int) -> None:
        """Copy `rows` runs of `width` bytes on the device; runs stand so many bytes apart as the pitches say."""
        ...

    def synchronize(self) -> None:
        """Wait for the copies: a session does not."""
        ...


class HostMemory:
    """Pages that the system commits when they are first written, so an unused slot costs nothing."""

    device = "cpu"

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        size = math.prod(shape) * dtype.itemsize
        try:
            pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except OSError as error:
            raise MemoryError(f"The system does not give {size} bytes: {error.strerror}.") from error
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            # A huge page spans several heads of a slot: the first position of each would commit nearly all of it.
            pages.madvise(mmap.MADV_NOHUGEPAGE)
        return Buffer(np.frombuffer(pages, np.uint8).ctypes.data, pages)

    def mirror(self, size: int, dtype: np.dtype[Any]) -> Mirror:
        return _HostMirror(np.zeros(size, dtype))

    def copy_rows(self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int) -> None:
        for row in range(rows):
            ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)

    def synchronize(self) -> None:
        pass


class _HostMirror:
    def __init__(self, array: NDArray[Any]) -> None:
        self.array, self.address = array, array.ctypes.data

    def push(self, count: int) -> None:
        pass

    def pull(self, count: int) -> None:
        pass


class CudaMemory:
    """Memory of CUDA device 0; copies go through the CUDA runtime that the provider has loaded.

    device: another device of onnxruntime, for tests on machines without CUDA.
    """

    def __init__(self, runtime: CudaRuntime | None = None, device: str = "cuda") -> None:
        self.device = device
        self._runtime = runtime or Cudart()

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Buffer:
        zeros = np.zeros(math.prod(shape), dtype)
        value = ort.OrtValue.ortvalue_from_numpy(zeros, self.device, 0)
        return Buffer(value.data_ptr(), (value, zeros if self.device == "cpu" else None))

    def mirror(self, size: int, dtype: np.dtype[Any]) -> Mirror:
        return _DeviceMirror(np.zeros(size, dtype), self.allocate((size,), dtype), self._runtime)

    def copy_rows(self, target: int, target_pitch: int, source: int, source_pitch: int, width: int, rows: int) -> None:
        if width and rows:
            self._runtime.copy(target, target_pitch, source, source_pitch, width, rows, _DEVICE_TO_DEVICE)

    def synchronize(self) -> None:
        self._runtime.synchronize()


class _DeviceMirror:
    def __init__(self, array: NDArray[Any], buffer: Buffer, runtime: CudaRuntime) -> None:
        self.array, self.address = array, buffer.address
        self._buffer, self._runtime = buffer, runtime

    def push(self, count: int) -> None:
        self._copy(self.address, self.array.ctypes.data, count, _HOST_TO_DEVICE)
        # A copy from pageable memory returns before it has arrived, and the session's stream does not wait for it.
        self._runtime.synchronize()

    def pull(self, count: int) -> None:
        self._copy(self.array.ctypes.data, self.address, count, _DEVICE_TO_HOST)

    def _copy(self, target: int, source: int, count: int, kind: int) -> None:
        if width := count * self.array.itemsize:
            self._runtime.copy(target, width, source, width, width, 1, kind)
