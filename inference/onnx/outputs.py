"""Where a graph's logits land, and the rows that were asked for. Knows neither cache nor tokens."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from inference.onnx.batch import Batch
from inference.onnx.binding import Binding
from inference.onnx.declared import DeclaredGraph
from inference.onnx.memory import Memory
from inference.runner import Logits


class Output(Protocol):
    """Some of what a call gives about its logits."""

    def bind(self, binding: Binding, batch: Batch) -> None: ...

    def read(self, batch: Batch) -> Logits:
        """float32 [rows * wanted, vocab_size]."""
        ...


class BestOutput:
    """The largest logits of each row alone: all others are -inf on the host and stay where they are on a device."""

    def __init__(self, graph: DeclaredGraph, memory: Memory, rows: int) -> None:
        assert graph.best is not None
        self._tensors, self._device, self.count = graph.best, memory.device, graph.best_count
        self._mirrors = [memory.mirror(rows * self.count, tensor.dtype) for tensor in graph.best]
        self._logits: Logits = np.full((rows, graph.vocab_size), -np.inf, np.float32)
        self._ids = np.zeros((0, self.count), np.int64)  # those of the last call

    def bind(self, binding: Binding, batch: Batch) -> None:
        for tensor, mirror in zip(self._tensors, self._mirrors, strict=True):
            binding.output(tensor, self._device, (batch.rows, self.count), mirror.address)

    def read(self, batch: Batch) -> Logits:
        for mirror in self._mirrors:
            mirror.pull(batch.rows * self.count)
        values, ids = (mirror.array[: batch.rows * self.count].reshape(batch.rows, -1) for mirror in self._mirrors)
        np.put_along_axis(self._logits[: len(self._ids)], self._ids, -np.inf, axis=1)
        self._ids = ids.copy()
        np.put_along_axis(self._logits[: batch.rows], self._ids, values, axis=1)
        return self._logits[: batch.rows]


class LogitsOutput:
    """A buffer for the logits of a call; it grows with the calls."""

    def __init__(self, graph: DeclaredGraph, memory: Memory, rows: int) -> None:
        self._graph, self._memory = graph, memory
        self._mirror = memory.mirror(rows * graph.vocab_size, graph.logits.dtype)

    def bind(self, binding: Binding, batch: Batch) -> None:
        shape = (*self._rows(batch), self._graph.vocab_size)
        size = math.prod(shape)
        if size > self._mirror.array.size:
            self._mirror = self._memory.mirror(size, self._graph.logits.dtype)
        binding.output(self._graph.logits, self._memory.device, shape, self._mirror.address)

    def read(self, batch: Batch) -> Logits:
        """float32 [rows * wanted, vocab_size]."""
        rows, vocab_size = self._rows(batch), self._graph.vocab_size
        size = math.prod(rows) * vocab_size
        self._mirror.pull(size)
        logits = self._mirror.array[:size]
        if not self._graph.chooses_rows:
            logits = logits.reshape(batch.rows, -1, vocab_size)[:, -batch.wanted :]
        wanted: Logits = logits.reshape(-1, vocab_size)
        return wanted.astype(np.float32, copy=False)

    def _rows(self, batch: Batch) -> tuple[int, ...]:
        """The shape of the graph's logits but for the vocabulary."""
        if self._graph.chooses_rows:
            return (batch.rows * batch.wanted,)
        return batch.rows, max(batch.wanted, 1) if "num_logits_to_keep" in self._graph.inputs else batch.count
