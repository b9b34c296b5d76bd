"""The decoder graph, as its shape and family describe it. Knows the architectures, not how weights are stored."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from inference.gguf.attention import Attention
from inference.gguf.blueprint import Blueprint
from inference.gguf.graph import MICROSOFT
from inference.gguf.projections import Projections
from inference.gguf.tensors import EMBEDDING, HEAD

_BEST_LOGITS = 64  # top_k is seldom more


class DecoderGraph:
    """Emits the nodes of one model into a builder.

    Inputs: input_ids int64 [batch, sequence]; seqlens_k int32 [batch], the length after this call less one;
    total_sequence_length int32 [1]; logits_rows int64 [rows], which of the batch*sequence positions get logits; per
    layer the key and value cache [batch, kv_heads, max_length, head_size], updated in place when past and present
    share a buffer. Outputs: logits float32 [rows, vocabulary]; in float16 graphs also top_logits float32 and top_ids
    int64 [rows, 64], the largest of them and where they stand.
    """

    def __init__(self, blueprint: Blueprint) -> None:
        self._graph, self._layers = blueprint.graph, blueprint.layers
        self._shape, self._tensors = blueprint.shape, blueprint.tensors
        self._projections = Projections(self._layers, self._tensors)
        self._declare_tensors()
        self._attention = Attention(blueprint)

    def build(self) -> None:
        """Emit the whole graph, layer after layer."""
        graph, shape = self._graph, self._shape
        skip, branch = self._embedding(), None
        for layer in range(shape.layers):
            normed, skip = self._add_and_norm(f"blk.{layer}.attn_norm", skip, branch)
            branch = self._post_norm(f"blk.{layer}.post_attention_norm", self._attention.emit(layer, normed))
            normed, skip = self._add_and_norm(f"blk.{layer}.ffn_norm", skip, branch)
            branch = self._post_norm(f"blk.{layer}.post_ffw_norm", self._feed_forward(layer, normed))
            graph.report((layer + 1) / (shape.layers + 1))
        normed, _ = self._add_and_norm("output_norm", skip, branch)
        self._head(normed)

    def _declare_tensors(self) -> None:
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

    def _embedding(self) -> str:
        graph, hidden = self._graph, self._shape.hidden
        embedded = self._layers.embedding("embedding", "input_ids", self._tensors[EMBEDDING])
        flat = graph.node("Reshape", [embedded, graph.small("flat", np.array([-1, hidden], np.int64))])
        if not self._shape.family.scaled_embedding:
            return flat
        return graph.node("Mul", [flat, self._number("embedding_scale", hidden**0.5)])

    def _number(self, name: str, value: float) -> str:
        return self._graph.small(name, np.array(value, self._layers.float_dtype))

    def _gamma(self, name: str) -> str:
        return self._layers.vector(f"{name}.weight", self._tensors[f"{name}.weight"])

    def _add_and_norm(self, name: str, skip: str, branch: str | None) -> tuple[str, str]:
        """RMS norm of skip + branch, and that sum."""
        gamma, epsilon = self._gamma(name), self._shape.norm_epsilon
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

    def _post_norm(self, name: str, branch: str) -> str:
        """RMS norm of what a part of a layer adds, in families that have it."""
        if not self._shape.family.post_norms:
            return branch
        inputs, epsilon = [branch, self._gamma(name)], self._shape.norm_epsilon
        return self._graph.node("SimplifiedLayerNormalization", inputs, epsilon=epsilon, axis=-1)

    def _feed_forward(self, layer: int, x: str) -> str:
        graph, block = self._graph, f"blk.{layer}"
        parts = [f"{block}.ffn_{part}" for part in ("gate", "up") if f"{block}.ffn_{part}.weight" in self._tensors]
        both = self._projections.emit(f"{block}.ffn_gate_up", x, parts)
        gate, up = f"{block}.gate", f"{block}.up"
        graph.node("Split", [both], outputs=[gate, up], axis=-1, num_outputs=2)
        activated = graph.node("Mul", [self._activation(gate), up])
        return self._projections.emit(f"{block}.ffn_down", activated, [f"{block}.ffn_down"])

    def _activation(self, gate: str) -> str:
        if self._shape.family.activation == "gelu":
            return self._graph.node("Gelu", [gate], approximate="tanh")
        # QuickGelu with alpha 1 is x * sigmoid(x), SiLU, in one node.
        return self._graph.node("QuickGelu", [gate], domain=MICROSOFT, alpha=1.0)

    def _head(self, normed: str) -> None:
        """Logits of the chosen rows only; an untied head has a tensor of its own."""
        tensor = self._tensors.get(HEAD, self._tensors[EMBEDDING])
        chosen = self._graph.node("Gather", [normed, "logits_rows"])
        logits = self._layers.linear("head", chosen, [tensor])
        if self._shape.logit_softcap:
            logits = self._softcap(logits, self._shape.logit_softcap)
        if self._layers.float_type == TensorProto.FLOAT:
            self._graph.rename(logits, "logits")
        else:
            self._graph.node("Cast", [logits], outputs=["logits"], to=TensorProto.FLOAT)
            self._best_logits()

    def _best_logits(self) -> None:
        """The largest logits of a row and their ids; where these suffice, the others stay on the device."""
        graph, count = self._graph, min(_BEST_LOGITS, self._shape.vocabulary)
        graph.output("top_logits", TensorProto.FLOAT, ["rows", count])
        graph.output("top_ids", TensorProto.INT64, ["rows", count])
        inputs = ["logits", graph.small("best_count", np.array([count], np.int64))]
        graph.node("TopK", inputs, outputs=["top_logits", "top_ids"], axis=-1)

    def _softcap(self, logits: str, cap: float) -> str:
        """cap * tanh(logits / cap): as good as the logits while they are small, and never beyond the cap."""
        graph = self._graph
        share = graph.node("Mul", [logits, self._number("logit_cap_inverse", 1 / cap)])
        return graph.node("Mul", [graph.node("Tanh", [share]), self._number("logit_cap", cap)])
