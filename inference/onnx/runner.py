"""The model on ONNX Runtime: one session, one cache of slots, logits. It knows no requests, no text, no sampling.

Past and present of a layer share one buffer, so a call writes the cache in place, and a call over some slots is bound
to their addresses without a copy (com.microsoft.GroupQueryAttention, ONNX Runtime's contrib operators).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.genai_config import ModelConfig
from inference.onnx.memory import Memory
from inference.runner import Logits

_KINDS = ("key", "value")
_CACHE_TYPES = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}


class OnnxRunner:
    """A cache of `slots` x `max_length` positions and the session that writes and reads it.

    One slot more than asked for is allocated as the scratch space of `swap`; on the host it costs nothing until used.
    """

    def __init__(
        self, session: ort.InferenceSession, config: ModelConfig, memory: Memory, *, slots: int, max_length: int
    ) -> None:
        self._session = session
        self._config = config
        self._memory = memory
        self._slots = slots
        self._max_length = max_length
        (first_past, *_) = (
            node for node in session.get_inputs() if node.name == config.graph.inputs["past_key_names"] % 0
        )
        self._dtype: np.dtype[Any] = np.dtype(np.float16 if first_past.type == "tensor(float16)" else np.float32)
        self._slot_bytes = config.num_kv_heads * max_length * config.head_size * self._dtype.itemsize
        shape = (slots + 1, config.num_kv_heads, max_length, config.head_size)
        self._cache = [memory.allocate(shape, self._dtype) for _ in range(2 * config.num_layers)]
        self._tokens = np.zeros(max(slots, max_length), np.int64)
        self._last_positions = np.zeros(slots, np.int32)
        self._total_length = np.zeros(1, np.int32)
        self._rows = np.arange(max(slots, max_length), dtype=np.int64)
        self._logits = np.zeros((slots, config.vocab_size), np.float32)
        self._decode_bindings: dict[tuple[int, int], ort.IOBinding] = {}
        self._prefill_bindings: dict[int, ort.IOBinding] = {}

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def max_length(self) -> int:
        return self._max_length

    @property
    def vocab_size(self) -> int:
        return self._config.vocab_size

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        count = len(tokens)
        assert 0 <= rows <= count, rows
        self._check(slot, start + count)
        binding = self._prefill_bindings.get(slot)
        if binding is None:
            binding = self._prefill_bindings[slot] = self._bind_cache(slot, 1)
        self._tokens[:count] = tokens
        self._set_lengths(np.array([start + count - 1], np.int32))
        self._bind_host(binding, self._config.graph.inputs["input_ids"], self._tokens, (1, count))
        self._make_room(rows)
        self._bind_rows(binding, self._rows[count - rows : count])
        self._session.run_with_iobinding(binding)
        return self._logits[:rows]

    def decode(self, first_slot: int, tokens: Sequence[int], positions: Sequence[int]) -> Logits:
        rows = len(tokens)
        self._check(first_slot + rows - 1, max(positions) + 1)
        binding = self._decode_bindings.get((first_slot, rows))
        if binding is None:
            binding = self._decode_bindings[first_slot, rows] = self._bind_cache(first_slot, rows)
            self._bind_host(binding, self._config.graph.inputs["input_ids"], self._tokens, (rows, 1))
            self._bind_rows(binding, self._rows[:rows])
        self._tokens[:rows] = tokens
        self._set_lengths(positions)
        self._session.run_with_iobinding(binding)
        return self._logits[:rows]

    def swap(self, a: int, length_a: int, b: int, length_b: int) -> None:
        scratch = self._slots
        self._copy(a, scratch, length_a)
        self._copy(b, a, length_b)
        self._copy(scratch, b, length_a)

    def copy(self, source: int, target: int, length: int) -> None:
        self._check(max(source, target), length)
        self._copy(source, target, length)

    def close(self) -> None:
        self._decode_bindings.clear()
        self._prefill_bindings.clear()
        self._cache.clear()
        del self._session

    def _copy(self, source: int, target: int, length: int) -> None:
        position_bytes = self._config.head_size * self._dtype.itemsize
        for buffer in self._cache:
            self._memory.copy_rows(
                buffer.address + target * self._slot_bytes,
                buffer.address + source * self._slot_bytes,
                width=length * position_bytes,
                pitch=self._max_length * position_bytes,
                rows=self._config.num_kv_heads,
            )

    def _check(self, slot: int, length: int) -> None:
        # The kernels write to bare addresses: a wrong slot or position would be a wild write.
        assert 0 <= slot < self._slots, slot
        assert 0 < length <= self._max_length, length

    def _bind_cache(self, first_slot: int, rows: int) -> ort.IOBinding:
        """A binding of everything that stays the same for calls over these slots."""
        binding, names = self._session.io_binding(), self._config.graph
        shape = (rows, self._config.num_kv_heads, self._max_length, self._config.head_size)
        for index, buffer in enumerate(self._cache):
            layer, kind = index // len(_KINDS), _KINDS[index % len(_KINDS)]
            place = (self._memory.device, 0, self._dtype.type, shape, buffer.address + first_slot * self._slot_bytes)
            binding.bind_input(names.inputs[f"past_{kind}_names"] % layer, *place)
            binding.bind_output(names.outputs[f"present_{kind}_names"] % layer, *place)
        self._bind_host(binding, names.inputs["seqlens_k"], self._last_positions, (rows,))
        self._bind_host(binding, names.inputs["total_sequence_length"], self._total_length, (1,))
        return binding

    def _make_room(self, rows: int) -> None:
        """Logits of more rows than ever before need a larger buffer, which other bindings do not know."""
        if rows > len(self._logits):
            self._logits = np.zeros((rows, self._config.vocab_size), np.float32)
            self._decode_bindings.clear()

    def _bind_rows(self, binding: ort.IOBinding, rows: NDArray[np.int64]) -> None:
        """Ask for the logits of these rows of the call."""
        self._bind_host(binding, self._config.graph.inputs["logits_rows"], rows, rows.shape)
        shape = (len(rows), self._config.vocab_size)
        binding.bind_output(self._config.graph.outputs["logits"], "cpu", 0, np.float32, shape, self._logits.ctypes.data)

    @staticmethod
    def _bind_host(binding: ort.IOBinding, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
        binding.bind_input(name, "cpu", 0, array.dtype.type, shape, array.ctypes.data)

    def _set_lengths(self, last_positions: Sequence[int] | NDArray[np.int32]) -> None:
        self._last_positions[: len(last_positions)] = last_positions
        self._total_length[0] = max(last_positions) + 1
