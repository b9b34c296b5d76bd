"""Host and CUDA memory copy the same rows; the CUDA runtime's one function is replaced by its documented behaviour."""

import ctypes

import numpy as np
import psutil
import pytest

from inference.onnx.memory import CudaMemory, HostMemory, Memory


def memcpy2d(target: int, target_pitch: int, source: int, source_pitch: int, width: int, height: int, kind: int) -> int:
    """cudaMemcpy2D on host addresses."""
    assert kind == 3
    for row in range(height):
        ctypes.memmove(target + row * target_pitch, source + row * source_pitch, width)
    return 0


@pytest.mark.parametrize("memory", [HostMemory(), CudaMemory(memcpy2d)], ids=["host", "cuda"])
def test_only_the_leading_bytes_of_each_row_are_copied(memory: Memory) -> None:
    source, target = np.arange(30, dtype=np.uint8).reshape(3, 10), np.zeros((3, 10), np.uint8)
    memory.copy_rows(target.ctypes.data, source.ctypes.data, width=4, pitch=10, rows=3)
    np.testing.assert_array_equal(target[:, :4], source[:, :4])
    assert not target[:, 4:].any()


def test_host_memory_is_zeroed() -> None:
    buffer = HostMemory().allocate((2, 3), np.dtype(np.float32))
    assert bytes(ctypes.string_at(buffer.address, 24)) == bytes(24)


def test_a_slot_costs_what_is_written_to_it() -> None:
    """A gigabyte of slots of which only the first positions are used takes a few megabytes, even where the system
    likes huge pages."""
    process = psutil.Process()
    before = process.memory_info().rss
    buffer = HostMemory().allocate((256, 1 << 20), np.dtype(np.float32))
    for slot in range(256):
        ctypes.memset(buffer.address + slot * (1 << 22), 1, 256)
    assert process.memory_info().rss - before < 64 << 20


def test_a_failed_copy_on_the_device_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="status 700"):
        CudaMemory(lambda *arguments: 700).copy_rows(0, 0, 1, 1, 1)
