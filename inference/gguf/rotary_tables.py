"""The cos and sin tables of GroupQueryAttention, and which of them a layer takes. Knows no weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from inference.gguf.graph import GraphBuilder
from inference.gguf.rope import Rope
from inference.gguf.ropes import Ropes
from inference.gguf.shape import DecoderShape


class RotaryTables:
    """Stores the tables in the graph's data file, [positions, rotary pairs] each."""

    def __init__(self, graph: GraphBuilder, dtype: type[np.floating[Any]], shape: DecoderShape, ropes: Ropes) -> None:
        self._graph = graph
        self._dtype = dtype
        self._shape = shape
        self._has_local = ropes.local is not None
        self._positions: list[str] = []
        if ropes.long is None or ropes.original_context >= shape.context:
            self._store("", [(ropes.main, shape.context)])
        else:
            self._store("", [(ropes.main, ropes.original_context), (ropes.long, shape.context)])
            self._positions = [self._position_ids(ropes.original_context)]
        if ropes.local is not None:
            self._store("local_", [(ropes.local, shape.context)])

    def inputs(self, layer: int) -> list[str]:
        """The operator's inputs from cos_cache on; none for a layer without positions."""
        if not self._shape.has_positions(layer):
            return []
        kind = "local_" if self._has_local and self._shape.window_of(layer) else ""
        return [f"{kind}cos_cache", f"{kind}sin_cache", *self._positions]

    def _store(self, prefix: str, ropes: list[tuple[Rope, int]]) -> None:
        """Tables of several ropes, one below the other."""
        size = (sum(positions for _, positions in ropes), self._shape.rotary_pairs)
        cos, sin = (self._graph.reserve(f"{prefix}{name}_cache", self._dtype, size) for name in ("cos", "sin"))
        start = 0
        for rope, positions in ropes:
            for rows, cosines, sines in rope.tables(positions):
                cos.write(start + rows.start, cosines)
                sin.write(start + rows.start, sines)
            start += positions

    def _position_ids(self, original_context: int) -> str:
        """Rows of the tables for each token, [batch, sequence]: those of the long rope, which stand below the short
        one's, if the cache has room for more positions than the short one was made for.

        By the room and not by the length: keys in the cache keep the rope they were written with.
        """
        graph = self._graph

        def whole(name: str, value: list[int] | int) -> str:
            return graph.small(name, np.array(value, np.int64))

        zero, one = whole("zero", 0), whole("one", 1)
        sequence = graph.node("Gather", [graph.node("Shape", ["input_ids"]), one])
        room = graph.node("Gather", [graph.node("Shape", ["past_key_values.0.key"]), whole("room_axis", 2)])
        is_long = graph.node(
            "Cast", [graph.node("Greater", [room, whole("short", original_context)])], to=TensorProto.INT64
        )
        skipped = graph.node("Mul", [is_long, "short"])
        last = graph.node("Cast", ["seqlens_k"], to=TensorProto.INT64)
        first = graph.node("Add", [graph.node("Sub", [last, graph.node("Sub", [sequence, one])]), skipped])
        column = graph.node("Unsqueeze", [first, whole("column_axis", [1])])
        return graph.node("Add", [column, graph.node("Range", [zero, sequence, one])])
