"""One attention layer in a graph, by our operator or by ONNX Runtime's, and what it is called with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.gguf.graph import ANSWERD, MICROSOFT

Floats = NDArray[np.float32]
INPUTS = ("qkv", "past_keys", "past_values", "seqlens_k", "cosines", "sines")
OUTPUTS = ("y", "keys", "values")


@dataclass(frozen=True)
class Shape:
    heads: int = 9
    kv_heads: int = 3
    size: int = 64
    pairs: int = 32  # of a head that turn
    interleaved: int = 1

    @property
    def width(self) -> int:
        return (self.heads + 2 * self.kv_heads) * self.size


@dataclass(frozen=True)
class Call:
    """qkv: [sequences, tokens, width]. past: keys and values, [2, sequences, kv_heads, room, size]. positions: that of
    each sequence's last token."""

    qkv: Floats
    past: Floats
    positions: Sequence[int]

    @classmethod
    def random(cls, shape: Shape, positions: Sequence[int], tokens: int, room: int, seed: int = 0) -> "Call":
        rng = np.random.default_rng(seed)
        past = np.zeros((2, len(positions), shape.kv_heads, room, shape.size), np.float32)
        for sequence, last in enumerate(positions):
            before = last + 1 - tokens
            past[:, sequence, :, :before] = rng.standard_normal((2, shape.kv_heads, before, shape.size))
        qkv = rng.standard_normal((len(positions), tokens, shape.width)).astype(np.float32)
        return cls(qkv, past, positions)

    def feeds(self) -> dict[str, Any]:
        return {
            "qkv": self.qkv.reshape(-1, self.qkv.shape[-1]),
            "past_keys": self.past[0],
            "past_values": self.past[1],
            "seqlens_k": np.array(self.positions, np.int32),
        }

    def of(self, sequence: int) -> "Call":
        """One sequence of it alone."""
        one = slice(sequence, sequence + 1)
        return Call(self.qkv[one], self.past[:, one], self.positions[one])

    def cut(self, start: int, end: int) -> "Call":
        """Some of the tokens; the past is that of the first ones."""
        behind = self.qkv.shape[1] - end
        return replace(self, qkv=self.qkv[:, start:end], positions=[last - behind for last in self.positions])


def tables(shape: Shape, positions: int = 1024) -> tuple[Floats, Floats]:
    angles = np.arange(positions)[:, None] * 1e4 ** -(np.arange(shape.pairs) / shape.pairs)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def own(library: Path, shape: Shape, threads: int = 2, **changed: Any) -> ort.InferenceSession:
    attributes = {
        "num_heads": shape.heads,
        "kv_num_heads": shape.kv_heads,
        "rotary_interleaved": shape.interleaved,
        "scale": shape.size**-0.5,
    } | changed
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(library))
    return _session(
        [helper.make_node("CachedAttention", INPUTS, OUTPUTS, domain=ANSWERD, **attributes)], shape, options, threads
    )


def theirs(shape: Shape) -> ort.InferenceSession:
    """GroupQueryAttention, which wants sequences in a dimension of their own and the longest total."""
    attributes = {
        "num_heads": shape.heads,
        "kv_num_heads": shape.kv_heads,
        "rotary_interleaved": shape.interleaved,
        "do_rotary": 1,
    }
    inputs = ["wide", "", "", "past_keys", "past_values", "seqlens_k", "total", "cosines", "sines"]
    nodes = [
        helper.make_node("Shape", ["seqlens_k"], ["sequences"]),
        helper.make_node("Concat", ["sequences", "rest"], ["three"], axis=0),
        helper.make_node("Reshape", ["qkv", "three"], ["wide"]),
        helper.make_node("ReduceMax", ["seqlens_k"], ["last"], keepdims=0),
        helper.make_node("Add", ["last", "one"], ["total"]),
        helper.make_node("GroupQueryAttention", inputs, ["deep", *OUTPUTS[1:]], domain=MICROSOFT, **attributes),
        helper.make_node("Reshape", ["deep", "flat"], ["y"]),
    ]
    return _session(nodes, shape, ort.SessionOptions(), 2)


def _session(nodes: list[Any], shape: Shape, options: ort.SessionOptions, threads: int) -> ort.InferenceSession:
    cosines, sines = tables(shape)
    constants = {
        "cosines": cosines,
        "sines": sines,
        "rest": np.array([-1, shape.width], np.int64),
        "one": np.array(1, np.int32),
        "flat": np.array([-1, shape.heads * shape.size], np.int64),
    }
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "attention",
        [
            helper.make_tensor_value_info(name, TensorProto.INT32 if name == "seqlens_k" else TensorProto.FLOAT, None)
            for name in INPUTS[:4]
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in OUTPUTS],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name in read],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MICROSOFT, 1), helper.make_opsetid(ANSWERD, 1)]
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def attend(session: ort.InferenceSession, call: Call) -> tuple[Floats, Floats]:
    """Outputs [sequences, tokens, heads * size], and keys and values as the past has them."""
    y, keys, values = session.run(None, call.feeds())
    return y.reshape(*call.qkv.shape[:2], -1), np.stack([keys, values])
