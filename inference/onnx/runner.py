"""The model on ONNX Runtime: one session, one cache of slots, logits. It knows no requests, no text, no sampling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from inference.onnx.appended import Appended
from inference.onnx.batch import Batch
from inference.onnx.binding import Binding
from inference.onnx.cache import CacheAccess, InPlace, SlotCache
from inference.onnx.declared import DeclaredGraph
from inference.onnx.inputs import CallInputs
from inference.onnx.memory import Memory
from inference.onnx.outputs import BestOutput, LogitsOutput, Output
from inference.runner import Logits


class OnnxRunner:
    """A cache of `slots` x `max_length` positions and the session that writes and reads it.

    in_place: whether past and present of the graph may be one buffer. captures: the session records decode calls
    (CUDA graphs), if the graph's shapes allow. One slot more than asked for is allocated as the scratch space of
    `swap`; on the host it costs nothing until used.
    """

    def __init__(
        self,
        session: ort.InferenceSession,
        graph: DeclaredGraph,
        memory: Memory,
        *,
        slots: int,
        max_length: int,
        in_place: bool,
        captures: bool = False,
    ) -> None:
        self._session, self._graph = session, graph
        self._slots, self._max_length = slots, max_length
        self._cache = SlotCache(graph, memory, slots, max_length)
        self._access: CacheAccess = InPlace(self._cache) if in_place else Appended(self._cache)
        self._session_captures, self._captures = captures, captures and in_place and graph.has_fixed_shapes
        self._inputs = CallInputs(
            graph, memory, slots, max_length, pads_left=self._access.pads_left, captured=self._captures
        )
        # Apart, so that what decode calls are bound to stays where it is when a chunk asks for many rows.
        self._decoded, self._read = LogitsOutput(graph, memory, slots), LogitsOutput(graph, memory, 1)
        self._best = BestOutput(graph, memory, slots) if graph.best else None
        self._bindings: dict[tuple[Output | None, int, int], Binding] = {}

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def max_length(self) -> int:
        return self._max_length

    @property
    def vocab_size(self) -> int:
        return self._graph.vocab_size

    @property
    def number_size(self) -> int:
        """The bytes of one number of the cache."""
        return self._graph.cache_dtype.itemsize

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        assert 0 <= rows <= len(tokens), rows
        self._check(slot, start + len(tokens))
        batch = Batch.of(slot, [tokens], [start], rows)
        if rows == 0:
            self._run(batch, None)
            return np.empty((0, self.vocab_size), np.float32)
        self._run(batch, self._read)
        return self._read.read(batch)

    def decode(
        self, first_slot: int, tokens: Sequence[int], positions: Sequence[int], best: int | None = None
    ) -> Logits:
        self._check(first_slot + len(tokens) - 1, max(positions) + 1)
        batch = Batch(first_slot, np.array(tokens, np.int64)[:, None], np.array(positions, np.int64), 1)
        output: Output = self._decoded
        if self._best is not None and best is not None and best <= self._best.count:
            output = self._best
        if self._fit_together(batch):
            self._run(batch, output)
            return output.read(batch)
        logits = np.empty((batch.rows, self.vocab_size), np.float32)
        for row in range(batch.rows):
            alone = Batch(first_slot + row, batch.tokens[row : row + 1], batch.starts[row : row + 1], 1)
            self._run(alone, output)
            logits[row] = output.read(alone)[0]
        return logits

    def swap(self, a: int, length_a: int, b: int, length_b: int) -> None:
        self._cache.swap(a, length_a, b, length_b)

    def copy(self, source: int, target: int, length: int, start: int = 0) -> None:
        self._check(max(source, target), length)
        self._cache.copy(source, target, length, start)

    def close(self) -> None:
        self._bindings.clear()
        self._cache.close()
        del self._session

    def _fit_together(self, batch: Batch) -> bool:
        """Whether the graph can tell the rows' positions apart, or need not."""
        if batch.rows == 1:
            return True
        if self._graph.takes_one_row:
            return False
        return not self._access.pads_left or "position_ids" in self._graph.inputs or batch.starts.min() == batch.past

    def _run(self, batch: Batch, output: Output | None) -> None:
        key = (output, batch.first, batch.rows)
        binding = self._bindings.get(key)
        if binding is None:
            binding = self._bindings[key] = Binding(self._session, self._options(output))
            self._access.bind(binding, batch.first, batch.rows)
        self._access.prepare(binding, batch)
        self._inputs.write(binding, batch)
        if output is not None:
            output.bind(binding, batch)
        binding.run()
        self._access.commit(batch)

    def _options(self, output: Output | None) -> ort.RunOptions:
        """For a new binding: compute only what it asks for, and record decode calls under a number of their own."""
        options = ort.RunOptions()
        options.only_execute_path_to_fetches = output is None or self._best is not None
        if self._session_captures:
            recorded = self._captures and output not in (None, self._read)
            options.add_run_config_entry("gpu_graph_id", str(len(self._bindings) + 1) if recorded else "-1")
        return options

    def _check(self, slot: int, length: int) -> None:
        # The kernels write to bare addresses: a wrong slot or position would be a wild write.
        assert 0 <= slot < self._slots, slot
        assert 0 < length <= self._max_length, length
