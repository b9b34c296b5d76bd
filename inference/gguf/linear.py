"""Linear layers and the embedding as ONNX nodes, one class per precision. Knows weights, not architectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from inference.gguf.graph import MICROSOFT, GraphBuilder
from inference.gguf.weights import BLOCK, BlockQuantized, read_float32, read_quantized, stack

# int8 activations: the fast path of MatMulNBits on CPU.
_ACCURACY_LEVEL = 4


class Layers(Protocol):
    """Turns GGUF tensors into nodes in one precision."""

    float_type: int
    float_dtype: type[np.floating[Any]]

    def linear(self, name: str, x: str, tensors: Sequence[Any]) -> str:
        """`x` [rows, inputs] times the transposed weights, stacked over outputs: [rows, outputs]."""

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        """Rows of the embedding for token ids of any shape."""

    def vector(self, name: str, tensor: Any) -> str:
        """A norm's weight as an initializer."""


class DenseLayers:
    """Weights dequantised to float32 or float16."""

    def __init__(self, graph: GraphBuilder, dtype: type[np.floating[Any]]) -> None:
        self._graph = graph
        self._shared: dict[str, str] = {}
        self.float_dtype = dtype
        self.float_type = TensorProto.FLOAT if dtype is np.float32 else TensorProto.FLOAT16

    def linear(self, name: str, x: str, tensors: Sequence[Any]) -> str:
        if len(tensors) == 1 and tensors[0].name in self._shared:
            # A tied head: the embedding is stored once, [vocabulary, hidden].
            return self._graph.node("Gemm", [x, self._shared[tensors[0].name]], transB=1)
        weight = np.concatenate([read_float32(tensor) for tensor in tensors])
        return self._graph.node("MatMul", [x, self._graph.constant(f"{name}.weight", self._cast(weight.T))])

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        table = self._graph.constant(f"{name}.weight", self._cast(read_float32(tensor)))
        self._shared[tensor.name] = table
        return self._graph.node("Gather", [table, ids])

    def vector(self, name: str, tensor: Any) -> str:
        return self._graph.constant(name, self._cast(read_float32(tensor)))

    def _cast(self, value: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        return value.astype(self.float_dtype, copy=False)


class QuantizedLayers:
    """Weights as the file holds them, 4 or 8 bits in blocks of 32; activations float32."""

    float_type = TensorProto.FLOAT
    float_dtype = np.float32

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        self._shapes: dict[int, str] = {}
        self._sums_of: dict[str, str] = {}

    def linear(self, name: str, x: str, tensors: Sequence[Any]) -> str:
        weight = stack([read_quantized(tensor) for tensor in tensors])
        outputs, inputs = weight.shape
        product = self._graph.node(
            "MatMulNBits",
            [
                x,
                self._graph.constant(f"{name}.q", weight.q),
                self._graph.constant(f"{name}.scales", weight.scales.reshape(-1)),
            ],
            domain=MICROSOFT,
            K=inputs,
            N=outputs,
            bits=weight.bits,
            block_size=BLOCK,
            accuracy_level=_ACCURACY_LEVEL,
        )
        return product if weight.offsets is None else self._add_offsets(name, x, weight, product)

    def _add_offsets(self, name: str, x: str, weight: BlockQuantized, product: str) -> str:
        """The offset of a block multiplies the sum of its inputs, exactly and in float32."""
        assert weight.offsets is not None
        offsets = self._graph.constant(f"{name}.offsets", weight.offsets.T)
        return self._graph.node("Gemm", [self._block_sum(x, weight.shape[1]), offsets, product])

    def _block_sum(self, x: str, inputs: int) -> str:
        """[rows, inputs] to [rows, inputs/32]; made once per activation.

        A reduction: as a product with a matrix of zeros and ones it would read that matrix in every step.
        """
        if x not in self._sums_of:
            blocks = self._graph.node("Reshape", [x, self._blocks_shape(inputs // BLOCK)])
            self._sums_of[x] = self._graph.node("ReduceSum", [blocks, "last_axis"], keepdims=0)
        return self._sums_of[x]

    def _blocks_shape(self, blocks: int) -> str:
        if not self._shapes:
            self._graph.small("last_axis", np.array([2], np.int64))
        if blocks not in self._shapes:
            self._shapes[blocks] = self._graph.small(f"blocks_{blocks}", np.array([-1, blocks, BLOCK], np.int64))
        return self._shapes[blocks]

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        weight = read_quantized(tensor)
        if weight.bits != 8 or weight.offsets is not None:
            return self._graph.node("Gather", [self._graph.constant(f"{name}.weight", read_float32(tensor)), ids])
        return self._graph.node(
            "GatherBlockQuantized",
            [
                self._graph.constant(f"{name}.q", weight.q.reshape(weight.shape)),
                ids,
                self._graph.constant(f"{name}.scales", weight.scales),
            ],
            domain=MICROSOFT,
            bits=8,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )

    def vector(self, name: str, tensor: Any) -> str:
        return self._graph.constant(name, read_float32(tensor))
