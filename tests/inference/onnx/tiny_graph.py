"""The tiny decoder as ONNX graphs, in the forms that exporters write."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from tests.inference.onnx.tiny_decoder import (
    BLOCK,
    EPSILON,
    HEAD_SIZE,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    VOCABULARY,
    Precision,
    TinyDecoder,
    Weight,
    angles,
)

_MICROSOFT = "com.microsoft"


@dataclass(frozen=True)
class Form:
    """What a graph declares. appends: attention of plain operators, whose present is longer than its past; else
    GroupQueryAttention. mask: the lengths come as `attention_mask`, else as `seqlens_k`. rows: which positions get
    logits. branches: with and without a past are two branches of one graph. best: so many
    of the largest logits are outputs of their own. renamed: names that no exporter uses."""

    precision: Precision = "float32"
    appends: bool = False
    mask: bool = True
    position_ids: bool = True
    rows: Literal["all", "asked", "last few"] = "all"
    branches: bool = False
    index_type: int = TensorProto.INT64
    best: int = 0
    batch: int | str = "batch_size"
    renamed: dict[str, str] = field(default_factory=dict, hash=False)

    def name(self, usual: str) -> str:
        for part, other in self.renamed.items():
            usual = usual.replace(part, other)
        return usual


class _Graph:
    """Emits one form of a decoder."""

    def __init__(self, model: TinyDecoder, form: Form) -> None:
        assert model.precision == form.precision
        self._model, self._form = model, form
        self._half = form.precision == "float16"
        self._type = TensorProto.FLOAT16 if self._half else TensorProto.FLOAT
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def build(self) -> Any:
        form = self._form
        ids = self._input("input_ids", form.index_type, [form.batch, "sequence_length"])
        self._declare()
        x = self._node("Gather", self._constant("embedding", self._model.embedding), ids)
        for layer, weights in enumerate(self._model.layers):
            h = self._norm(x)
            q, k, v = (self._linear(f"{layer}.{name}", h, weights[name]) for name in "qkv")
            attend = self._plain_attention if form.appends else self._grouped_attention
            x = self._node("Add", x, self._linear(f"{layer}.o", attend(layer, q, k, v), weights["o"]))
            h = self._norm(x)
            gate = self._linear(f"{layer}.gate", h, weights["gate"])
            active = self._node("Mul", gate, self._node("Sigmoid", gate))
            wide = self._node("Mul", active, self._linear(f"{layer}.up", h, weights["up"]))
            x = self._node("Add", x, self._linear(f"{layer}.down", wide, weights["down"]))
        self._head(self._norm(x))
        constants = [numpy_helper.from_array(value, name) for name, value in self._constants.items()]
        graph = helper.make_graph(self._nodes, "tiny", self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _declare(self) -> None:
        form, integer = self._form, self._form.index_type
        if form.mask:
            self._mask = self._input("attention_mask", integer, [form.batch, "total_sequence_length"])
        else:
            self._lengths = self._input("seqlens_k", TensorProto.INT32, [form.batch])
            self._total = self._input("total_sequence_length", TensorProto.INT32, [1])
        if form.position_ids:
            self._positions = self._input("position_ids", integer, [form.batch, "sequence_length"])
        if form.branches:
            self._input("use_cache_branch", TensorProto.BOOL, [1])
        for layer in range(LAYERS):
            for kind in ("key", "value"):
                shape = [form.batch, KV_HEADS, "past_sequence_length", HEAD_SIZE]
                self._input(f"past_key_values.{layer}.{kind}", self._type, shape)
                shape = [form.batch, KV_HEADS, "total_sequence_length", HEAD_SIZE]
                self._output(f"present.{layer}.{kind}", self._type, shape)
        if not form.appends and form.mask:
            ones = self._node("ReduceSum", self._cast(self._mask, TensorProto.INT32), self._axes(1), keepdims=0)
            self._lengths = self._node("Sub", ones, self._constant("one", np.array([1], np.int32)))
            total = self._node("Gather", self._node("Shape", self._mask), self._constant("second", np.array([1])))
            self._total = self._cast(total, TensorProto.INT32)

    def _grouped_attention(self, layer: int, q: str, k: str, v: str) -> str:
        cos, sin = self._tables(1)
        if self._form.position_ids:
            positions = self._cast(self._positions, TensorProto.INT64)
            q = self._node("RotaryEmbedding", q, positions, cos, sin, domain=_MICROSOFT, num_heads=HEADS)
            k = self._node("RotaryEmbedding", k, positions, cos, sin, domain=_MICROSOFT, num_heads=KV_HEADS)
        past = [self._form.name(f"past_key_values.{layer}.{kind}") for kind in ("key", "value")]
        present = [self._form.name(f"present.{layer}.{kind}") for kind in ("key", "value")]
        rotary = [] if self._form.position_ids else [cos, sin]
        inputs = [q, k, v, *past, self._lengths, self._total, *rotary]
        options = {"num_heads": HEADS, "kv_num_heads": KV_HEADS, "do_rotary": int(bool(rotary))}
        return self._node(
            "GroupQueryAttention", *inputs, outputs=[f"attended.{layer}", *present], domain=_MICROSOFT, **options
        )

    def _plain_attention(self, layer: int, q: str, k: str, v: str) -> str:
        past = self._form.name(f"past_key_values.{layer}.key")
        past_length = self._node("Gather", self._node("Shape", past), self._constant("third", np.array(2)))
        queries, keys = (self._rotated(self._heads(x), past_length) for x in (q, k))
        keys = self._append(layer, "key", keys)
        values = self._append(layer, "value", self._heads(v))
        scores = self._node("MatMul", queries, self._node("Transpose", self._repeated(keys), perm=[0, 1, 3, 2]))
        scores = self._node("Mul", scores, self._constant("scale", np.array(HEAD_SIZE**-0.5)))
        least = self._constant("least", np.array(-60000.0))
        seen = self._seen(past_length)
        shares = self._node("Softmax", self._node("Where", seen, scores, least), axis=-1)
        mixed = self._node("Transpose", self._node("MatMul", shares, self._repeated(values)), perm=[0, 2, 1, 3])
        return self._node("Reshape", mixed, self._constant("flat", np.array([0, 0, HEADS * HEAD_SIZE])))

    def _append(self, layer: int, kind: str, new: str) -> str:
        past, present = (self._form.name(f"{time}.{layer}.{kind}") for time in ("past_key_values", "present"))
        if not self._form.branches:
            return self._node("Concat", past, new, axis=2, outputs=[present])
        branches = []
        for name, node in (
            ("then", helper.make_node("Concat", [past, new], [f"{present}.then"], axis=2)),
            ("else", helper.make_node("Identity", [new], [f"{present}.else"])),
        ):
            output = helper.make_tensor_value_info(node.output[0], self._type, None)
            branches.append(helper.make_graph([node], name, [], [output]))
        switch = self._form.name("use_cache_branch")
        return self._node("If", switch, then_branch=branches[0], else_branch=branches[1], outputs=[present])

    def _rotated(self, x: str, past_length: str) -> str:
        if self._form.position_ids:
            positions = self._positions
        else:
            count = self._node("Gather", self._node("Shape", x), self._constant("third", np.array(2)))
            end = self._node("Add", past_length, count)
            positions = self._node("Unsqueeze", self._range(past_length, end), self._axes(0))
        cos, sin = (
            self._node("Unsqueeze", self._node("Gather", table, positions), self._axes(1)) for table in self._tables(2)
        )
        halves = [f"{x}.first", f"{x}.second"]
        self._node("Split", x, axis=-1, num_outputs=2, outputs=halves)
        turned = self._node("Concat", self._node("Neg", halves[1]), halves[0], axis=-1)
        return self._node("Add", self._node("Mul", x, cos), self._node("Mul", turned, sin))

    def _seen(self, past_length: str) -> str:
        """[batch, 1, sequence, total]: no later positions and no padding."""
        total = self._node("Gather", self._node("Shape", self._mask), self._constant("one index", np.array(1)))
        zero = self._constant("zero", np.array(0))
        keys = self._node("Unsqueeze", self._range(zero, total), self._axes(0))
        queries = self._node("Unsqueeze", self._range(past_length, total), self._axes(1))
        mask = self._node("Unsqueeze", self._cast(self._mask, TensorProto.BOOL), self._axes(1, 2))
        return self._node("And", self._node("LessOrEqual", keys, queries), mask)

    def _repeated(self, x: str) -> str:
        repeat = self._constant("repeat", np.array([1, 1, HEADS // KV_HEADS, 1, 1]))
        wide = self._node("Tile", self._node("Unsqueeze", x, self._axes(2)), repeat)
        return self._node("Reshape", wide, self._constant("joined", np.array([0, HEADS, -1, HEAD_SIZE])))

    def _head(self, normed: str) -> None:
        form = self._form
        shape: list[int | str] = [form.batch, "sequence_length", VOCABULARY]
        if form.rows == "asked":
            rows = self._input("logits_rows", TensorProto.INT64, ["rows"])
            flat = self._node("Reshape", normed, self._constant("flat hidden", np.array([-1, HIDDEN])))
            normed, shape = self._node("Gather", flat, rows), ["rows", VOCABULARY]
        elif form.rows == "last few":
            keep = self._node("Neg", self._input("num_logits_to_keep", TensorProto.INT64, []))
            end = self._constant("end", np.array([np.iinfo(np.int64).max]))
            normed = self._node("Slice", normed, self._node("Unsqueeze", keep, self._axes(0)), end, self._axes(1))
            shape = [form.batch, "num_logits_to_keep", VOCABULARY]
        logits = self._output("logits", self._type, shape)
        self._node("Identity", self._linear("head", normed, self._model.head), outputs=[logits])
        if form.best:
            best = [self._output("top_logits", self._type, ["rows", form.best])]
            best.append(self._output("top_ids", TensorProto.INT64, ["rows", form.best]))
            self._node("TopK", logits, self._constant("best", np.array([form.best])), outputs=best)

    def _linear(self, name: str, x: str, weight: Weight) -> str:
        if weight.quantised is None and self._form.precision == "dynamic int8":
            return self._dynamic(name, x, weight)
        if weight.quantised is None:
            return self._node("MatMul", x, self._constant(name, weight.value))
        inputs, outputs = weight.value.shape
        bits = 4 if self._form.precision == "int4" else 8
        sizes = {"K": inputs, "N": outputs, "bits": bits, "block_size": BLOCK}
        self._constants |= {f"{name}.q": weight.quantised, f"{name}.scales": weight.scales}
        return self._node("MatMulNBits", x, f"{name}.q", f"{name}.scales", domain=_MICROSOFT, **sizes)

    def _dynamic(self, name: str, x: str, weight: Weight) -> str:
        """8-bit weights with one scale, and activations quantised by what the call holds."""
        scale = np.float32(np.abs(weight.value).max() / 127)
        self._constants[f"{name}.q"] = np.rint(weight.value / scale).astype(np.int8)
        parts = [f"{name}.x", f"{name}.scale", f"{name}.zero"]
        self._node("DynamicQuantizeLinear", x, outputs=parts)
        product = self._node("MatMulInteger", parts[0], f"{name}.q", parts[2])
        factor = self._node("Mul", parts[1], self._constant(f"{name}.weight scale", np.array(scale)))
        return self._node("Mul", self._cast(product, TensorProto.FLOAT), factor)

    def _norm(self, x: str) -> str:
        ones = self._constant("ones", np.ones(HIDDEN))
        return self._node("SimplifiedLayerNormalization", x, ones, epsilon=EPSILON, axis=-1)

    def _heads(self, x: str) -> str:
        split = self._node("Reshape", x, self._constant("heads", np.array([0, 0, -1, HEAD_SIZE])))
        return self._node("Transpose", split, perm=[0, 2, 1, 3])

    def _tables(self, copies: int) -> list[str]:
        table = np.tile(angles(), copies)
        return [self._constant("cos", np.cos(table)), self._constant("sin", np.sin(table))]

    def _range(self, start: str, end: str) -> str:
        return self._node("Range", start, end, self._constant("step", np.array(1)))

    def _axes(self, *axes: int) -> str:
        return self._constant(f"axes {axes}", np.array(axes))

    def _cast(self, x: str, to: int) -> str:
        return self._node("Cast", x, to=to)

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        if value.dtype == np.float64:
            value = value.astype(np.float16 if self._half else np.float32)
        self._constants[name] = value
        return name

    def _input(self, name: str, kind: int, shape: list[Any]) -> str:
        self._inputs.append(helper.make_tensor_value_info(self._form.name(name), kind, shape))
        return self._form.name(name)

    def _output(self, name: str, kind: int, shape: list[Any]) -> str:
        self._outputs.append(helper.make_tensor_value_info(self._form.name(name), kind, shape))
        return self._form.name(name)

    def _node(
        self, op: str, *inputs: str, outputs: list[str] | None = None, domain: str = "", **attributes: Any
    ) -> str:
        outputs = outputs or [f"{op}_{len(self._nodes)}"]
        self._nodes.append(helper.make_node(op, list(inputs), outputs, domain=domain, **attributes))
        return outputs[0]


def save_tiny_decoder(path: Path, form: Form) -> TinyDecoder:
    """Writes the graph and gives the decoder in numpy that it is to agree with."""
    model = TinyDecoder(form.precision)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(_Graph(model, form).build(), path)
    return model
