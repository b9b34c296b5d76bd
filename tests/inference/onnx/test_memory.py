"""Host and CUDA memory copy the same; the CUDA runtime's two functions are replaced by their documented behaviour."""

import ctypes

import numpy as np
import psutil
import pytest

from inference.onnx.memory import CudaMemory, HostMemory, Memory
from tests.inference.onnx.fake_cuda import FakeCuda


@pytest.fixture(params=["host", "cuda"])
def memory(request: pytest.FixtureRequest) -> Memory:
    return HostMemory() if request.param == "host" else CudaMemory(FakeCuda(), device="cpu")


def test_only_the_leading_bytes_of_each_row_are_copied(memory: Memory) -> None:
    source, target = np.arange(30, dtype=np.uint8).reshape(3, 10), np.zeros((3, 8), np.uint8)
    memory.copy_rows(target.ctypes.data, 8, source.ctypes.data, 10, width=4, rows=3)
    np.testing.assert_array_equal(target[:, :4], source[:, :4])
    assert not target[:, 4:].any()


def test_nothing_is_copied_for_a_width_of_zero(memory: Memory) -> None:
    target = np.ones(8, np.uint8)
    memory.copy_rows(target.ctypes.data, 0, 0, 0, width=0, rows=1)
    assert target.all()


def test_memory_is_zeroed(memory: Memory) -> None:
    buffer = memory.allocate((2, 3), np.dtype(np.float32))
    assert bytes(ctypes.string_at(buffer.address, 24)) == bytes(24)


def test_memory_that_the_system_does_not_give_is_an_error_of_its_own() -> None:
    with pytest.raises(MemoryError, match="does not give"):
        HostMemory().allocate((2**50,), np.dtype(np.float32))  # more than a process can address


def test_a_mirror_holds_on_the_device_what_was_pushed_and_on_the_host_what_was_pulled(memory: Memory) -> None:
    mirror = memory.mirror(6, np.dtype(np.int32))
    mirror.array[:] = range(6)
    mirror.push(6)
    on_device = np.ctypeslib.as_array((ctypes.c_int32 * 6).from_address(mirror.address))
    np.testing.assert_array_equal(on_device, range(6))
    on_device[:4] = 9
    mirror.pull(3)
    np.testing.assert_array_equal(mirror.array[:3], [9, 9, 9])
    mirror.pull(0)


def test_a_mirror_on_the_device_is_not_the_host_array() -> None:
    mirror = CudaMemory(FakeCuda(), device="cpu").mirror(6, np.dtype(np.int32))
    assert mirror.address != mirror.array.ctypes.data


def test_what_was_pushed_is_waited_for() -> None:
    """The copy returns before it has arrived, and the session's stream would not wait."""
    cuda = FakeCuda()
    CudaMemory(cuda, device="cpu").mirror(6, np.dtype(np.int32)).push(6)
    assert cuda.pending == 0


def test_a_slot_costs_what_is_written_to_it() -> None:
    """A gigabyte of slots of which only the first positions are used takes a few megabytes, even where the system
    likes huge pages."""
    process = psutil.Process()
    before = process.memory_info().rss
    buffer = HostMemory().allocate((256, 1 << 20), np.dtype(np.float32))
    for slot in range(256):
        ctypes.memset(buffer.address + slot * (1 << 22), 1, 256)
    assert process.memory_info().rss - before < 64 << 20
