"""Linear layers and the embedding as ONNX nodes, one class per way to store numbers. Knows weights, no architecture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from inference.gguf.block_quantized import BlockForm, BlockQuantized
from inference.gguf.graph import ANSWERD, MICROSOFT, GraphBuilder
from inference.gguf.packed import OUTPUTS, can_pack, pack, packed_bytes
from inference.gguf.weights import Blocks, read_float32, row_chunks
from inference.gguf.zero_points import copies, further_blocks, with_zero_points

# int8 activations: the fast path of MatMulNBits on CPU.
_ACCURACY_LEVEL = 4


class Layers(Protocol):
    """Turns GGUF tensors into nodes in one precision."""

    float_type: int
    float_dtype: type[np.floating[Any]]

    def linear(self, name: str, x: str, tensors: Sequence[Any], biases: Sequence[Any] = ()) -> str:
        """`x` [rows, inputs] times the transposed weights, stacked over outputs: [rows, outputs].

        biases: none, or one for each tensor.
        """

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        """Rows of the embedding for token ids of any shape."""

    def vector(self, name: str, tensor: Any) -> str:
        """A norm's weight as an initializer."""


def _shape(tensors: Sequence[Any]) -> tuple[int, int]:
    """(outputs, inputs) of the stacked tensors."""
    return sum(int(tensor.shape[1]) for tensor in tensors), int(tensors[0].shape[0])


class DenseLayers:
    """Weights dequantised to float32 or float16."""

    def __init__(self, graph: GraphBuilder, dtype: type[np.floating[Any]]) -> None:
        self._graph = graph
        self._shared: dict[str, str] = {}
        self.float_dtype = dtype
        self.float_type = TensorProto.FLOAT if dtype is np.float32 else TensorProto.FLOAT16

    def linear(self, name: str, x: str, tensors: Sequence[Any], biases: Sequence[Any] = ()) -> str:
        # A tied head: the embedding is stored once.
        weight = self._shared.get(tensors[0].name) if len(tensors) == 1 else None
        inputs = [x, weight or self._matrix(f"{name}.weight", tensors)]
        if biases:
            inputs.append(self.bias(f"{name}.bias", biases))
        return self._graph.node("Gemm", inputs, transB=1)

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        table = self._shared[tensor.name] = self._matrix(f"{name}.weight", [tensor])
        return self._graph.node("Gather", [table, ids])

    def vector(self, name: str, tensor: Any) -> str:
        return self._graph.constant(name, self._cast(read_float32(tensor)))

    def bias(self, name: str, tensors: Sequence[Any]) -> str:
        """Vectors one after the other as an initializer."""
        return self._graph.constant(name, self._cast(np.concatenate([read_float32(tensor) for tensor in tensors])))

    def _matrix(self, name: str, tensors: Sequence[Any]) -> str:
        place, start = self._graph.reserve(name, self.float_dtype, _shape(tensors)), 0
        for tensor in tensors:
            for rows in row_chunks(tensor):
                place.write(start + rows.start, self._cast(read_float32(tensor, rows)))
            start += int(tensor.shape[1])
        return name

    def _cast(self, value: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
        return value.astype(self.float_dtype, copy=False)


class _Matrix(NamedTuple):
    """A quantised matrix in the data file: names of its q [outputs, blocks, bytes], scales, and offsets or zero points.

    shape: (outputs, inputs), without the further inputs that a matrix with zero points has.
    """

    form: BlockForm
    shape: tuple[int, int]
    q: str
    scales: str
    offsets: str | None = None
    zeros: str | None = None


class QuantizedLayers:
    """Weights in blocks of small integers; activations float32.

    kernels: products are BlockMatMul, the operator of inference/kernels, wherever it takes their form.
    """

    float_type = TensorProto.FLOAT
    float_dtype = np.float32

    def __init__(self, graph: GraphBuilder, blocks: Blocks, *, kernels: bool = False) -> None:
        self._graph = graph
        self._blocks = blocks
        self._kernels = kernels
        self._dense = DenseLayers(graph, np.float32)
        self._stored: dict[str, _Matrix] = {}
        self._shapes: dict[tuple[int, int], str] = {}
        self._sums_of: dict[tuple[str, int], str] = {}
        self._with_sums_of: dict[tuple[str, BlockForm], str] = {}

    def linear(self, name: str, x: str, tensors: Sequence[Any], biases: Sequence[Any] = ()) -> str:
        if int(tensors[0].shape[0]) % self._blocks.form(tensors[0]).block:
            return self._dense.linear(name, x, tensors, biases)  # only floating point comes in odd widths
        indexes = range(len(tensors))
        groups = [list(group) for _, group in groupby(indexes, lambda index: self._blocks.form(tensors[index]))]
        products = []
        for number, group in enumerate(groups):
            part, some = name if len(groups) == 1 else f"{name}.{number}", [tensors[index] for index in group]
            bias = self._dense.bias(f"{part}.bias", [biases[index] for index in group]) if biases else ""
            form = self._blocks.form(some[0])
            if self._kernels and all(can_pack(form, int(tensor.shape[1])) for tensor in some):
                products.append(self._multiply_packed(part, x, form, some, bias))
            else:
                products.append(self._multiply(part, x, self._matrix(part, some), bias))
        return products[0] if len(products) == 1 else self._graph.node("Concat", products, axis=-1)

    def _multiply_packed(self, name: str, x: str, form: BlockForm, tensors: Sequence[Any], bias: str) -> str:
        """A tied head gets numbers of its own, too: rows of the embedding are gathered from another layout."""
        outputs, inputs = _shape(tensors)
        shape = (outputs // OUTPUTS, inputs // form.block, packed_bytes(form))
        weights = self._graph.reserve(f"{name}.packed", np.uint8, shape)
        for row, part in self._parts(tensors):
            weights.write(row // OUTPUTS, pack(part))
        product = self._graph.node(
            "BlockMatMul", [x, f"{name}.packed"], domain=ANSWERD, bits=form.bits, block_size=form.block
        )
        return self._graph.node("Add", [product, bias]) if bias else product

    def _multiply(self, name: str, x: str, matrix: _Matrix, bias: str) -> str:
        (outputs, inputs), form = matrix.shape, matrix.form
        blocks = inputs // form.block
        if matrix.zeros is not None:
            x, inputs = self._with_sums(x, blocks, form), inputs + copies(form) * blocks
            blocks += further_blocks(form, blocks)
        flat_scales = self._graph.alias(f"{name}.flat_scales", matrix.scales, (outputs * blocks,))
        product = self._graph.node(
            "MatMulNBits",
            [x, matrix.q, flat_scales, *([matrix.zeros or "", "", bias] if bias else filter(None, [matrix.zeros]))],
            domain=MICROSOFT,
            K=inputs,
            N=outputs,
            bits=form.bits,
            block_size=form.block,
            accuracy_level=_ACCURACY_LEVEL,
        )
        return product if matrix.offsets is None else self._add_offsets(x, matrix, product)

    def _with_sums(self, x: str, blocks: int, form: BlockForm) -> str:
        """The activations and the sums of their blocks, as often as the form's further inputs want them."""
        if (x, form) not in self._with_sums_of:
            sums = [self._block_sum(x, blocks, form.block)] * copies(form)
            self._with_sums_of[x, form] = self._graph.node("Concat", [x, *sums], axis=-1)
        return self._with_sums_of[x, form]

    def _add_offsets(self, x: str, matrix: _Matrix, product: str) -> str:
        """The offset of a block multiplies the sum of its inputs, exactly and in float32."""
        assert matrix.offsets is not None
        sums = self._block_sum(x, matrix.shape[1] // matrix.form.block, matrix.form.block)
        return self._graph.node("Gemm", [sums, matrix.offsets, product], transB=1)

    def _block_sum(self, x: str, blocks: int, block: int) -> str:
        """[rows, blocks*block] to [rows, blocks].

        A reduction: as a product with a matrix of zeros and ones it would read that matrix in every step.
        """
        if (x, block) not in self._sums_of:
            wide = self._graph.node("Reshape", [x, self._blocks_shape(blocks, block)])
            self._sums_of[x, block] = self._graph.node("ReduceSum", [wide, "last_axis"], keepdims=0)
        return self._sums_of[x, block]

    def _blocks_shape(self, blocks: int, block: int) -> str:
        if not self._shapes:
            self._graph.small("last_axis", np.array([2], np.int64))
        if (blocks, block) not in self._shapes:
            shape = np.array([-1, blocks, block], np.int64)
            self._shapes[blocks, block] = self._graph.small(f"blocks_{blocks}_{block}", shape)
        return self._shapes[blocks, block]

    def embedding(self, name: str, ids: str, tensor: Any) -> str:
        if int(tensor.shape[0]) % self._blocks.form(tensor).block:
            return self._dense.embedding(name, ids, tensor)
        matrix = self._stored[tensor.name] = self._plain(name, self._blocks.form(tensor), [tensor])
        outputs, inputs = matrix.shape
        table = self._graph.alias(f"{name}.table", matrix.q, (outputs, inputs * matrix.form.bits // 8))
        rows = self._graph.node(
            "GatherBlockQuantized",
            [table, ids, matrix.scales],
            domain=MICROSOFT,
            bits=matrix.form.bits,
            block_size=matrix.form.block,
            gather_axis=0,
            quantize_axis=1,
        )
        return rows if matrix.offsets is None else self._shift_rows(rows, ids, matrix)

    def _shift_rows(self, rows: str, ids: str, matrix: _Matrix) -> str:
        """Add its offset to every number of a block of the gathered rows."""
        assert matrix.offsets is not None
        graph, blocks = self._graph, matrix.shape[1] // matrix.form.block
        wide = graph.node("Reshape", [rows, self._blocks_shape(blocks, matrix.form.block)])
        column = graph.small("offset_column", np.array([-1, blocks, 1], np.int64))
        offsets = graph.node("Reshape", [graph.node("Gather", [matrix.offsets, ids]), column])
        return graph.node("Add", [wide, offsets])

    def vector(self, name: str, tensor: Any) -> str:
        return self._dense.vector(name, tensor)

    def _matrix(self, name: str, tensors: Sequence[Any]) -> _Matrix:
        """Store stacked tensors of one form for a product; a tied head finds the embedding stored."""
        if len(tensors) == 1 and tensors[0].name in self._stored:
            return self._stored[tensors[0].name]
        form = self._blocks.form(tensors[0])
        return self._zero_pointed(name, form, tensors) if form.has_offsets else self._plain(name, form, tensors)

    def _plain(self, name: str, form: BlockForm, tensors: Sequence[Any]) -> _Matrix:
        """As the blocks are: offsets apart."""
        outputs, inputs = _shape(tensors)
        shape = (outputs, inputs // form.block)
        q = self._graph.reserve(f"{name}.q", np.uint8, (*shape, form.block_bytes))
        scales = self._graph.reserve(f"{name}.scales", np.float32, shape)
        offsets = self._graph.reserve(f"{name}.offsets", np.float32, shape) if form.has_offsets else None
        for row, part in self._parts(tensors):
            q.write(row, part.q)
            scales.write(row, part.scales)
            if offsets is not None and part.offsets is not None:
                offsets.write(row, part.offsets)
        return _Matrix(form, (outputs, inputs), f"{name}.q", f"{name}.scales", f"{name}.offsets" if offsets else None)

    def _zero_pointed(self, name: str, form: BlockForm, tensors: Sequence[Any]) -> _Matrix:
        """Offsets as zero points and further inputs: one node, where apart they take three and read twice as much."""
        outputs, inputs = _shape(tensors)
        blocks = inputs // form.block + further_blocks(form, inputs // form.block)
        q = self._graph.reserve(f"{name}.q", np.uint8, (outputs, blocks, form.block_bytes))
        scales = self._graph.reserve(f"{name}.scales", np.float32, (outputs, blocks))
        zeros = self._graph.reserve(f"{name}.zeros", np.uint8, (outputs, -(-blocks * form.bits // 8)))
        for row, part in self._parts(tensors):
            rows = with_zero_points(part)
            q.write(row, rows.q)
            scales.write(row, rows.scales)
            zeros.write(row, rows.zeros)
        return _Matrix(form, (outputs, inputs), f"{name}.q", f"{name}.scales", zeros=f"{name}.zeros")

    def _parts(self, tensors: Sequence[Any]) -> Iterator[tuple[int, BlockQuantized]]:
        """Some rows at a time of stacked tensors, with the number of the first of them."""
        start = 0
        for tensor in tensors:
            for rows in row_chunks(tensor):
                yield start + rows.start, self._blocks.read(tensor, rows)
            start += int(tensor.shape[1])
