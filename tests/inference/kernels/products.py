"""BlockMatMul alone in a graph, and what it is to give."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.gguf.block_quantized import BlockForm, BlockQuantized
from inference.gguf.graph import ANSWERD
from inference.gguf.packed import pack

Floats = NDArray[np.float32]
INSTRUCTIONS: Mapping[str, tuple[str, ...]] = {
    "those of this processor": ("-march=native",),
    "AVX2": ("-mavx2", "-mfma", "-mf16c"),
}
FORMS = [BlockForm(bits, block, offsets) for bits in (4, 8) for block in (16, 32) for offsets in (False, True)]


def random_weights(form: BlockForm, outputs: int, inputs: int, seed: int = 0) -> BlockQuantized:
    """With scales and offsets that half precision holds, as those in files do."""
    rng = np.random.default_rng(seed)
    shape = (outputs, inputs // form.block)
    q = rng.integers(0, 2**form.bits, (*shape, form.block), dtype=np.uint8)
    scales, offsets = (rng.uniform(-0.01, 0.01, shape).astype(np.float16).astype(np.float32) for _ in range(2))
    if form.has_offsets:  # what is stored is the lowest number of a block, not its middle
        offsets = offsets + 2 ** (form.bits - 1) * scales
    return BlockQuantized.pack(form, q, scales, offsets if form.has_offsets else None)


def expected(x: Floats, weights: BlockQuantized) -> NDArray[np.float64]:
    """Products of the activations rounded as the kernel promises, [rows, outputs]."""
    blocks = x.reshape(len(x), -1, weights.form.block)
    top = np.abs(blocks).max(axis=-1, keepdims=True)
    inverse = np.divide(np.float32(127), top, out=np.zeros_like(top), where=top > 0)
    rounded = np.rint(blocks * inverse) * (top / np.float32(127))
    product: NDArray[np.float64] = rounded.reshape(x.shape).astype(np.float64) @ weights.dequantize().T
    return product


@dataclass(frozen=True)
class Operator:
    """A graph of one node; `attributes` and `packed` are what the node is given, right or wrong."""

    library: Path
    attributes: Mapping[str, int]
    packed: NDArray[np.uint8]
    is_constant: bool = True

    @classmethod
    def of(cls, library: Path, weights: BlockQuantized) -> "Operator":
        return cls(library, {"bits": weights.form.bits, "block_size": weights.form.block}, pack(weights))

    def session(self, threads: int = 2) -> ort.InferenceSession:
        node = helper.make_node("BlockMatMul", ["x", "w"], ["y"], domain=ANSWERD, **self.attributes)
        inputs: list[Any] = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
        if not self.is_constant:
            inputs.append(helper.make_tensor_value_info("w", TensorProto.UINT8, None))
        graph = helper.make_graph(
            [node],
            "product",
            inputs,
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(self.packed, "w")] if self.is_constant else [],
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(ANSWERD, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4
        options.register_custom_ops_library(str(self.library))
        return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def multiply(session: ort.InferenceSession, x: Floats) -> Floats:
    [y] = session.run(None, {"x": x})
    result: Floats = y
    return result
