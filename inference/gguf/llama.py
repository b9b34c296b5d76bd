"""The decoder graph of the llama family. Knows the architecture, not how weights are stored.

Inputs: input_ids int64 [batch, sequence]; seqlens_k int32 [batch], the length after this call less one;
total_sequence_length int32 [1]; logits_rows int64 [rows], which of the batch*sequence positions get logits;
per layer the key and value cache [batch, kv_heads, max_length, head_size], updated in place when past and present
share a buffer. Output: logits float32 [rows, vocabulary].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from inference.gguf.graph import MICROSOFT, GraphBuilder
from inference.gguf.linear import Layers


@dataclass(frozen=True, slots=True)
class LlamaShape:
    """Sizes and constants of a llama-family model, as its file declares them."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    context: int
    rope_base: float
    rope_dimensions: int
    norm_epsilon: float


class LlamaGraph:
    """Emits the nodes of one model into a builder."""

    def __init__(self, graph: GraphBuilder, layers: Layers, shape: LlamaShape, tensors: dict[str, Any]) -> None:
        self._graph = graph
        self._layers = layers
        self._shape = shape
        self._tensors = tensors

    def build(self) -> None:
        """Emit the whole graph, layer after layer."""
        self._declare_inputs()
        graph, shape = self._graph, self._shape
        embedded = self._layers.embedding("embedding", "input_ids", self._tensors["token_embd.weight"])
        skip = graph.node("Reshape", [embedded, graph.small("flat", np.array([-1, shape.hidden], np.int64))])
        branch: str | None = None
        for layer in range(shape.layers):
            normed, skip = self._norm(f"blk.{layer}.attn_norm", skip, branch)
            branch = self._attention(layer, normed)
            normed, skip = self._norm(f"blk.{layer}.ffn_norm", skip, branch)
            branch = self._feed_forward(layer, normed)
            graph.report((layer + 1) / (shape.layers + 1))
        normed, _ = self._norm("output_norm", skip, branch)
        self._head(normed)

    def _declare_inputs(self) -> None:
        graph, shape, cache_type = self._graph, self._shape, self._layers.float_type
        graph.input("input_ids", TensorProto.INT64, ["batch", "sequence"])
        graph.input("seqlens_k", TensorProto.INT32, ["batch"])
        graph.input("total_sequence_length", TensorProto.INT32, [1])
        graph.input("logits_rows", TensorProto.INT64, ["rows"])
        graph.output("logits", TensorProto.FLOAT, ["rows", shape.vocabulary])
        cache: list[int | str] = ["batch", shape.kv_heads, "max_length", shape.head_size]
        for layer in range(shape.layers):
            for kind in ("key", "value"):
                graph.input(f"past_key_values.{layer}.{kind}", cache_type, cache)
                graph.output(f"present.{layer}.{kind}", cache_type, cache)
        self._attention_shape = graph.node(
            "Concat", [graph.node("Shape", ["input_ids"]), graph.small("rest", np.array([-1], np.int64))], axis=0
        )
        self._rotary_caches()

    def _rotary_caches(self) -> None:
        """cos and sin of position times frequency (RoFormer, arXiv:2104.09864), [context, rope_dimensions/2]."""
        half = self._shape.rope_dimensions // 2
        frequencies = self._shape.rope_base ** (-np.arange(half, dtype=np.float64) / half)
        angles = np.outer(np.arange(self._shape.context, dtype=np.float64), frequencies)
        for name, table in (("cos_cache", np.cos(angles)), ("sin_cache", np.sin(angles))):
            self._graph.constant(name, table.astype(self._layers.float_dtype))

    def _norm(self, name: str, skip: str, branch: str | None) -> tuple[str, str]:
        """RMS norm of skip + branch, and that sum."""
        gamma = self._layers.vector(f"{name}.weight", self._tensors[f"{name}.weight"])
        epsilon = self._shape.norm_epsilon
        if branch is None:
            return self._graph.node("SimplifiedLayerNormalization", [skip, gamma], epsilon=epsilon, axis=-1), skip
        normed, total = f"{name}.normed", f"{name}.sum"
        self._graph.node(
            "SkipSimplifiedLayerNormalization",
            [skip, branch, gamma],
            domain=MICROSOFT,
            outputs=[normed, "", "", total],
            epsilon=epsilon,
        )
        return normed, total

    def _attention(self, layer: int, x: str) -> str:
        graph, shape, block = self._graph, self._shape, f"blk.{layer}"
        packed = self._layers.linear(
            f"{block}.attn_qkv", x, [self._tensors[f"{block}.attn_{part}.weight"] for part in ("q", "k", "v")]
        )
        output = f"{block}.attention"
        graph.node(
            "GroupQueryAttention",
            [
                graph.node("Reshape", [packed, self._attention_shape]),
                "",
                "",
                f"past_key_values.{layer}.key",
                f"past_key_values.{layer}.value",
                "seqlens_k",
                "total_sequence_length",
                "cos_cache",
                "sin_cache",
            ],
            domain=MICROSOFT,
            outputs=[output, f"present.{layer}.key", f"present.{layer}.value"],
            num_heads=shape.heads,
            kv_num_heads=shape.kv_heads,
            do_rotary=1,
            # llama-family files hold Q and K permuted for interleaved pairs.
            rotary_interleaved=1,
        )
        flat = graph.node("Reshape", [output, "flat_heads"] if layer else [output, self._flat_heads()])
        return self._layers.linear(f"{block}.attn_output", flat, [self._tensors[f"{block}.attn_output.weight"]])

    def _flat_heads(self) -> str:
        width = self._shape.heads * self._shape.head_size
        return self._graph.small("flat_heads", np.array([-1, width], np.int64))

    def _feed_forward(self, layer: int, x: str) -> str:
        graph, block = self._graph, f"blk.{layer}"
        both = self._layers.linear(
            f"{block}.ffn_gate_up", x, [self._tensors[f"{block}.ffn_{part}.weight"] for part in ("gate", "up")]
        )
        gate, up = f"{block}.gate", f"{block}.up"
        graph.node("Split", [both], outputs=[gate, up], axis=-1, num_outputs=2)
        # QuickGelu with alpha 1 is x * sigmoid(x), SiLU, in one node.
        activated = graph.node("Mul", [graph.node("QuickGelu", [gate], domain=MICROSOFT, alpha=1.0), up])
        return self._layers.linear(f"{block}.ffn_down", activated, [self._tensors[f"{block}.ffn_down.weight"]])

    def _head(self, normed: str) -> None:
        """Logits of the chosen rows only; an untied head has a tensor of its own."""
        tensor = self._tensors.get("output.weight", self._tensors["token_embd.weight"])
        chosen = self._graph.node("Gather", [normed, "logits_rows"])
        logits = self._layers.linear("head", chosen, [tensor])
        if self._layers.float_type == TensorProto.FLOAT:
            self._graph.rename(logits, "logits")
        else:
            self._graph.node("Cast", [logits], outputs=["logits"], to=TensorProto.FLOAT)
