"""Cache access for graphs that append: their present is longer than their past by the tokens of the call.

The past of the rows is gathered before a call, and the new positions are put into the slots after it. That costs a copy
of the past per call, and room for the rows' positions twice.
"""

from __future__ import annotations

import numpy as np

from inference.onnx.batch import Batch
from inference.onnx.binding import Binding
from inference.onnx.cache import SlotCache
from inference.onnx.memory import Buffer, Memory


class Appended:
    """Past [rows, kv_heads, past, head_size] and present [rows, kv_heads, past + count, head_size] of every layer."""

    pads_left = True

    def __init__(self, cache: SlotCache) -> None:
        self._cache = cache
        self._past, self._present = _Room(cache.memory), _Room(cache.memory)

    def bind(self, binding: Binding, first: int, rows: int) -> None:
        pass

    def prepare(self, binding: Binding, batch: Batch) -> None:
        cache, graph = self._cache, self._cache.graph
        before = (batch.rows, graph.kv_heads, batch.past, graph.head_size)
        after = (batch.rows, graph.kv_heads, batch.past + batch.count, graph.head_size)
        self._past.reserve(self._bytes(batch, batch.past) * len(graph.cache))
        self._present.reserve(self._bytes(batch, batch.past + batch.count) * len(graph.cache))
        for index, pair in enumerate(graph.cache):
            binding.input(pair.past, cache.memory.device, before, self._past_address(batch, index))
            binding.output(pair.present, cache.memory.device, after, self._present_address(batch, index))
            self._gather(batch, index)
        cache.memory.synchronize()

    def commit(self, batch: Batch) -> None:
        for index in range(len(self._cache.graph.cache)):
            self._scatter(batch, index)
        self._cache.memory.synchronize()

    def _gather(self, batch: Batch, index: int) -> None:
        cache, heads, address = self._cache, self._cache.graph.kv_heads, self._past_address(batch, index)
        pitch = batch.past * cache.position_bytes
        for row, start in enumerate(batch.starts.tolist()):
            width = start * cache.position_bytes
            target = address + row * heads * pitch + pitch - width
            source = cache.address(index, batch.first + row)
            cache.memory.copy_rows(target, pitch, source, cache.head_bytes, width, heads)

    def _scatter(self, batch: Batch, index: int) -> None:
        cache, heads, address = self._cache, self._cache.graph.kv_heads, self._present_address(batch, index)
        pitch, width = (batch.past + batch.count) * cache.position_bytes, batch.count * cache.position_bytes
        for row, start in enumerate(batch.starts.tolist()):
            target = cache.address(index, batch.first + row, start)
            source = address + row * heads * pitch + pitch - width
            cache.memory.copy_rows(target, cache.head_bytes, source, pitch, width, heads)

    def _past_address(self, batch: Batch, index: int) -> int:
        return self._past.address + index * self._bytes(batch, batch.past)

    def _present_address(self, batch: Batch, index: int) -> int:
        return self._present.address + index * self._bytes(batch, batch.past + batch.count)

    def _bytes(self, batch: Batch, positions: int) -> int:
        return batch.rows * self._cache.graph.kv_heads * positions * self._cache.position_bytes


class _Room:
    """A buffer that is replaced by one of twice the size when it is too small."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._size = 1 << 16
        self._buffer = self._allocate()

    @property
    def address(self) -> int:
        return self._buffer.address

    def reserve(self, size: int) -> None:
        if size > self._size:
            self._size = 2 * size
            self._buffer = self._allocate()

    def _allocate(self) -> Buffer:
        return self._memory.allocate((self._size,), np.dtype(np.uint8))
