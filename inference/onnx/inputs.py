"""The values of a graph's inputs for one call, whichever of them it declares. Knows roles, not names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.onnx.batch import Batch
from inference.onnx.binding import Binding
from inference.onnx.declared import DeclaredGraph
from inference.onnx.memory import HostMemory, Memory

Values = NDArray[Any]


class CallInputs:
    """Writes and binds the inputs other than the cache, each in a buffer of its own whose address stays.

    pads_left: as the cache is seen (`CacheAccess`). captured: decode calls say that they are as long as can be, for
    a captured call keeps the number that it was captured with; each row's own length is what attention goes by.
    """

    def __init__(
        self,
        graph: DeclaredGraph,
        memory: Memory,
        slots: int,
        max_length: int,
        *,
        pads_left: bool,
        captured: bool = False,
    ) -> None:
        self._graph, self._pads_left = graph, pads_left
        self._longest = np.array([max_length]) if captured else None
        # The attention operator reads this one number on the host, wherever it runs.
        places = {role: HostMemory() if role == "total_sequence_length" else memory for role in graph.inputs}
        sizes = {"attention_mask": slots * max_length}
        self._mirrors = {
            role: places[role].mirror(sizes.get(role, max(slots, max_length)), tensor.dtype)
            for role, tensor in graph.inputs.items()
        }
        self._devices = {role: place.device for role, place in places.items()}
        self._written: dict[str, tuple[tuple[int, int, int], tuple[int, ...]]] = {}

    def write(self, binding: Binding, batch: Batch) -> None:
        for role, tensor in self._graph.inputs.items():
            shape = self._write(role, batch)
            binding.input(tensor, self._devices[role], shape, self._mirrors[role].address)

    def _write(self, role: str, batch: Batch) -> tuple[int, ...]:
        """The shape of what is in the mirror now, which may have been there already."""
        kind = (batch.rows, batch.count, batch.wanted)
        if role in _OF_THE_KIND and (written := self._written.get(role)) and written[0] == kind:
            return written[1]
        values, mirror = self._value(role, batch), self._mirrors[role]
        mirror.array[: values.size] = values.reshape(-1)
        mirror.push(values.size)
        self._written[role] = kind, values.shape
        return values.shape

    def _value(self, role: str, batch: Batch) -> Values:
        if self._longest is not None and role == "total_sequence_length" and batch.count == 1:
            return self._longest
        return input_value(self._graph, role, batch, pads_left=self._pads_left)


def input_value(graph: DeclaredGraph, role: str, batch: Batch, *, pads_left: bool) -> Values:
    """What the input of that role holds for a call; its type may be wider than the declared one."""
    values = _VALUES["padded_mask" if pads_left and role == "attention_mask" else role](batch)
    missing = len(graph.inputs[role].shape) - values.ndim
    # Numbers for a row or for a call stand in as many dimensions as the graph declares.
    return values.reshape(values.shape + (1,) * missing) if missing else values


def _token_ids(batch: Batch) -> Values:
    return batch.tokens


def _positions(batch: Batch) -> Values:
    return batch.starts[:, None] + np.arange(batch.count)


def _mask(batch: Batch) -> Values:
    """Ones for a row's positions, then zeros up to the longest row's end."""
    ends = batch.starts + batch.count
    mask: Values = np.arange(batch.past + batch.count) < ends[:, None]
    return mask


def _padded_mask(batch: Batch) -> Values:
    """Zeros before a row's positions, so that all rows end together."""
    padding = batch.past - batch.starts
    mask: Values = np.arange(batch.past + batch.count) >= padding[:, None]
    return mask


def _last_positions(batch: Batch) -> Values:
    return batch.starts + (batch.count - 1)


def _total_length(batch: Batch) -> Values:
    return np.array(batch.past + batch.count)


def _wanted_rows(batch: Batch) -> Values:
    """Numbers of the wanted ones among the rows * count tokens."""
    ends = np.arange(batch.count, batch.rows * batch.count + 1, batch.count)
    return (ends[:, None] + np.arange(-batch.wanted, 0)).reshape(-1)


def _kept(batch: Batch) -> Values:
    return np.array(max(batch.wanted, 1))  # 0 would keep all


def _has_past(batch: Batch) -> Values:
    return np.array(batch.past > 0)


_VALUES: Mapping[str, Callable[[Batch], Values]] = {
    "input_ids": _token_ids,
    "attention_mask": _mask,
    "padded_mask": _padded_mask,
    "position_ids": _positions,
    "seqlens_k": _last_positions,
    "total_sequence_length": _total_length,
    "logits_rows": _wanted_rows,
    "num_logits_to_keep": _kept,
    "use_cache_branch": _has_past,
}

# Inputs that are the same for all calls of as many rows, tokens and wanted logits: decoding writes them once.
_OF_THE_KIND = frozenset({"logits_rows", "num_logits_to_keep"})
