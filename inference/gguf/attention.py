"""Attention layers as nodes: com.microsoft.GroupQueryAttention with what each family adds (ONNX Runtime's contrib
operators), or our own operator where a layer needs nothing that this does not know. Knows nothing of feed-forward
layers or of how weights are stored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from inference.gguf.blueprint import Blueprint
from inference.gguf.graph import ANSWERD, MICROSOFT
from inference.gguf.projections import Projections
from inference.gguf.rotary_tables import RotaryTables

# What inference/kernels/attention.h knows: sizes of a head, and of the attributes all but these.
_HEAD_SIZES = (64, 128, 192, 256)
_NOT_OWN = {"softcap", "local_window_size"}


class Attention:
    """Emits the attention of each layer; makes what all layers share once, when it is created."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._graph, self._layers = blueprint.graph, blueprint.layers
        self._shape, self._tensors = blueprint.shape, blueprint.tensors
        self._projections, self._kernels = Projections(self._layers, self._tensors), blueprint.kernels
        graph, shape = self._graph, self._shape
        self._tables = RotaryTables(graph, self._layers.float_dtype, shape, blueprint.ropes)
        rest = graph.small("rest", np.array([-1], np.int64))
        self._per_sequence = graph.node("Concat", [graph.node("Shape", ["input_ids"]), rest], axis=0)
        self._flat = graph.small("flat_heads", np.array([-1, shape.heads * shape.head_size], np.int64))
        if shape.family.qk_norm:
            counts = [shape.heads, shape.kv_heads, shape.kv_heads]
            self._head_counts = graph.small("head_counts", np.array(counts, np.int64))
            self._by_head = graph.small("by_head", np.array([-1, sum(counts), shape.head_size], np.int64))

    def emit(self, layer: int, x: str) -> str:
        """[batch*sequence, hidden] to the same: what attention adds to each position."""
        block, output = f"blk.{layer}", f"blk.{layer}.attention"
        cache = [f"past_key_values.{layer}.key", f"past_key_values.{layer}.value", "seqlens_k"]
        outputs, attributes = [output, f"present.{layer}.key", f"present.{layer}.value"], self._attributes(layer)
        rotary = self._tables.inputs(layer)
        if self._kernels and self._is_plain(attributes, rotary):
            inputs = [self._side_by_side(block, x), *cache, *rotary]
            attributes = {"scale": float(self._shape.attention_scale)} | attributes
            flat = self._graph.node("CachedAttention", inputs, domain=ANSWERD, outputs=outputs, **attributes)
        else:
            inputs = [*self._queries_keys_values(block, x), *cache, "total_sequence_length", *rotary]
            attributes["do_rotary"] = int(bool(rotary))
            self._graph.node("GroupQueryAttention", inputs, domain=MICROSOFT, outputs=outputs, **attributes)
            flat = self._graph.node("Reshape", [output, self._flat])
        return self._projections.emit(f"{block}.attn_output", flat, [f"{block}.attn_output"])

    def _is_plain(self, attributes: dict[str, Any], rotary: list[str]) -> bool:
        """Whether our own operator knows all that the layer needs."""
        size = self._shape.head_size
        turns = len(rotary) == 2  # there are tables, and a token's row of them is its position
        return turns and size in _HEAD_SIZES and not self._shape.family.qk_norm and _NOT_OWN.isdisjoint(attributes)

    def _attributes(self, layer: int) -> dict[str, Any]:
        shape = self._shape
        attributes: dict[str, Any] = {
            "num_heads": shape.heads,
            "kv_num_heads": shape.kv_heads,
            "rotary_interleaved": int(shape.family.interleaved),
        }
        if shape.attention_scale != shape.head_size**-0.5:
            attributes["scale"] = shape.attention_scale
        if shape.attention_softcap:
            attributes["softcap"] = shape.attention_softcap
        if 0 < (window := shape.window_of(layer)) < shape.context:
            attributes["local_window_size"] = window
        return attributes

    def _side_by_side(self, block: str, x: str) -> str:
        """Queries, keys and values of each position side by side."""
        parts = [f"{block}.attn_qkv"]
        if f"{parts[0]}.weight" not in self._tensors:
            parts = [f"{block}.attn_{part}" for part in ("q", "k", "v")]
        return self._projections.emit(f"{block}.attn_qkv", x, parts)

    def _queries_keys_values(self, block: str, x: str) -> list[str]:
        """The operator's first three inputs: all in the first one, or apart where Q and K are normed."""
        together = self._side_by_side(block, x)
        if not self._shape.family.qk_norm:
            return [self._graph.node("Reshape", [together, self._per_sequence]), "", ""]
        names = [f"{block}.{part}" for part in ("queries", "keys", "values")]
        heads = self._graph.node("Reshape", [together, self._by_head])
        self._graph.node("Split", [heads, self._head_counts], outputs=names, axis=1)
        queries, keys = (
            self._norm(f"{block}.attn_{part}_norm", name) for part, name in zip("qk", names[:2], strict=True)
        )
        return [self._graph.node("Reshape", [part, self._per_sequence]) for part in (queries, keys, names[2])]

    def _norm(self, name: str, heads: str) -> str:
        """RMS norm of every head by itself, before it turns with its position."""
        gamma = self._layers.vector(f"{name}.weight", self._tensors[f"{name}.weight"])
        return self._graph.node(
            "SimplifiedLayerNormalization", [heads, gamma], epsilon=self._shape.norm_epsilon, axis=-1
        )
