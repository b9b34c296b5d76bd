"""The keys and values of all slots in device memory, and how a call gets at them. Knows no tokens.

A graph whose attention writes the new positions into the buffer of the past works on the slots where they lie
(com.microsoft.GroupQueryAttention, ONNX Runtime's contrib operators); `appended` has the other kind.
"""

from __future__ import annotations

from typing import Protocol

from inference.onnx.batch import Batch
from inference.onnx.binding import Binding
from inference.onnx.declared import DeclaredGraph
from inference.onnx.memory import Memory

# Positions that a swap puts aside: so few that they stay in the processor's caches and take little memory of their own,
# and so many that a device is not asked for thousands of copies.
_EXCHANGED_AT_ONCE = 512


class SlotCache:
    """A buffer [slots, kv_heads, max_length, head_size] per layer and kind; the last slot is the scratch of swaps."""

    def __init__(self, graph: DeclaredGraph, memory: Memory, slots: int, max_length: int) -> None:
        self.graph, self.memory, self.max_length = graph, memory, max_length
        self.position_bytes = graph.head_size * graph.cache_dtype.itemsize
        self.head_bytes = max_length * self.position_bytes
        self._slot_bytes = graph.kv_heads * self.head_bytes
        shape = (slots + 1, graph.kv_heads, max_length, graph.head_size)
        self._scratch = slots
        self._buffers = [memory.allocate(shape, graph.cache_dtype) for _ in graph.cache]

    def address(self, index: int, slot: int, position: int = 0) -> int:
        """Where a position of the first head of a slot lies, in the buffer of `graph.cache[index]`."""
        return self._buffers[index].address + slot * self._slot_bytes + position * self.position_bytes

    def swap(self, a: int, length_a: int, b: int, length_b: int) -> None:
        both = min(length_a, length_b)
        for start in range(0, both, _EXCHANGED_AT_ONCE):
            count = min(_EXCHANGED_AT_ONCE, both - start)
            self._copy(a, start, self._scratch, 0, count)
            self._copy(b, start, a, start, count)
            self._copy(self._scratch, 0, b, start, count)
        self._copy(a, both, b, both, length_a - both)
        self._copy(b, both, a, both, length_b - both)
        self.memory.synchronize()

    def copy(self, source: int, target: int, length: int, start: int = 0) -> None:
        self._copy(source, start, target, start, length - start)
        self.memory.synchronize()

    def _copy(self, source: int, start: int, target: int, position: int, count: int) -> None:
        if count <= 0:
            return
        width, pitch, heads = count * self.position_bytes, self.head_bytes, self.graph.kv_heads
        for index in range(len(self._buffers)):
            to, origin = self.address(index, target, position), self.address(index, source, start)
            self.memory.copy_rows(to, pitch, origin, pitch, width, heads)

    def close(self) -> None:
        self._buffers.clear()


class CacheAccess(Protocol):
    """How calls read and write the slots.

    pads_left: where the rows of one call differ in length, the past of the shorter ones stands at the end of what the
    graph sees, else at its beginning.
    """

    pads_left: bool

    def bind(self, binding: Binding, first: int, rows: int) -> None:
        """Bind what stays the same for all calls over these slots."""
        ...

    def prepare(self, binding: Binding, batch: Batch) -> None:
        """Bind and fill what this call needs."""
        ...

    def commit(self, batch: Batch) -> None:
        """The call has run; its positions belong into the slots."""
        ...


class InPlace:
    """Past and present are the slots themselves."""

    pads_left = False

    def __init__(self, cache: SlotCache) -> None:
        self._cache = cache

    def bind(self, binding: Binding, first: int, rows: int) -> None:
        cache, graph = self._cache, self._cache.graph
        shape = (rows, graph.kv_heads, cache.max_length, graph.head_size)
        for index, pair in enumerate(graph.cache):
            place = (cache.memory.device, shape, cache.address(index, first))
            binding.input(pair.past, *place)
            binding.output(pair.present, *place)

    def prepare(self, binding: Binding, batch: Batch) -> None:
        pass

    def commit(self, batch: Batch) -> None:
        pass
