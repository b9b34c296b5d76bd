"""Numbers of a GGUF tensor, some rows at a time: as float32, or in blocks. Knows no graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from gguf import dequantize

from inference.gguf.block_quantized import EIGHT_BITS, BlockForm, BlockQuantized, Float32, quantize
from inference.gguf.block_types import BLOCK_TYPES
from inference.gguf.reader import type_name

# Numbers that are handled at once: some copies of them in float32 are what a conversion needs beside the file.
_CHUNK = 1 << 22


def row_chunks(tensor: Any) -> Iterator[slice]:
    """Ranges of rows that cover a matrix, small enough to be handled at once; each begins at a multiple of 16."""
    inputs, outputs = (int(size) for size in tensor.shape)
    step = max(1, _CHUNK // inputs // 16) * 16
    for start in range(0, outputs, step):
        yield slice(start, min(start + step, outputs))


def read_float32(tensor: Any, rows: slice = slice(None)) -> Float32:
    """Rows of a GGUF tensor, whatever its type, as float32 in row-major order: [rows, inputs], or [numbers]."""
    values: Float32 = dequantize(np.ascontiguousarray(tensor.data[rows]), tensor.tensor_type)
    return values.astype(np.float32, copy=False)


class Blocks(Protocol):
    """Which block form a quantised graph gives a tensor."""

    def form(self, tensor: Any) -> BlockForm:
        """The form of all the tensor's rows."""
        ...

    def read(self, tensor: Any, rows: slice) -> BlockQuantized:
        """Some rows in that form."""
        ...


class StoredBlocks:
    """Blocks exactly as the file holds them; what it holds as floating point gets 8 bits."""

    def form(self, tensor: Any) -> BlockForm:
        block_type = BLOCK_TYPES.get(type_name(tensor))
        return EIGHT_BITS if block_type is None else block_type.form

    def read(self, tensor: Any, rows: slice) -> BlockQuantized:
        block_type = BLOCK_TYPES.get(type_name(tensor))
        return quantize(read_float32(tensor, rows)) if block_type is None else block_type.decode(tensor.data[rows])


class EightBitBlocks:
    """Every tensor in 8 bits, blocks of 32: exactly where the file's blocks allow it, else quantised again."""

    def form(self, tensor: Any) -> BlockForm:
        return EIGHT_BITS

    def read(self, tensor: Any, rows: slice) -> BlockQuantized:
        block_type = BLOCK_TYPES.get(type_name(tensor))
        if block_type is not None and block_type.form == EIGHT_BITS:
            return block_type.decode(tensor.data[rows])
        return quantize(read_float32(tensor, rows))
