"""Weights of a GGUF file in the forms that ONNX Runtime's operators take. Knows no graph.

The quantised forms are exact rewritings of the stored numbers, never a second quantisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType, dequantize

from inference.gguf.errors import UnsupportedModelError

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]

BLOCK = 32


@dataclass(frozen=True, slots=True)
class BlockQuantized:
    """A matrix [outputs, inputs] as `(q - 2**(bits-1)) * scale + offset` per block of 32 inputs.

    `q`: uint8, [outputs, inputs/32, 32*bits/8], for 4 bits the even input in the low half of a byte (MatMulNBits).
    `scales`: float32, [outputs, inputs/32]. `offsets`: the same shape, or None where every one is zero.
    """

    bits: int
    q: UInt8
    scales: Float32
    offsets: Float32 | None

    @property
    def shape(self) -> tuple[int, int]:
        """(outputs, inputs)."""
        return self.scales.shape[0], self.scales.shape[1] * BLOCK


def read_float32(tensor: Any) -> Float32:
    """A GGUF tensor, whatever its type, as float32 in row-major order [outputs, inputs]."""
    shape = tuple(int(n) for n in reversed(tensor.shape))
    values: Float32 = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False).reshape(shape)
    return values


def read_quantized(tensor: Any) -> BlockQuantized:
    """A block-quantised GGUF tensor, number for number.

    Raises UnsupportedModelError for a type that has no exact block form here.
    """
    reader = _READERS.get(tensor.tensor_type)
    if reader is None:
        known = ", ".join(sorted(kind.name for kind in _READERS))
        raise UnsupportedModelError(
            f"Tensor {tensor.name} has type {tensor.tensor_type.name}; a quantised graph can be made of {known}."
        )
    return reader(tensor.data)


def stack(parts: list[BlockQuantized]) -> BlockQuantized:
    """Several matrices over the same inputs as one, outputs one after the other. All have the same bits."""
    (bits,) = {part.bits for part in parts}
    offsets = None
    if any(part.offsets is not None for part in parts):
        offsets = np.concatenate([_offsets_or_zeros(part) for part in parts])
    return BlockQuantized(
        bits, np.concatenate([part.q for part in parts]), np.concatenate([part.scales for part in parts]), offsets
    )


def _offsets_or_zeros(part: BlockQuantized) -> Float32:
    return np.zeros_like(part.scales) if part.offsets is None else part.offsets


def _float16_field(blocks: UInt8, start: int) -> Float32:
    field = np.ascontiguousarray(blocks[..., start : start + 2]).view(np.float16)
    return field[..., 0].astype(np.float32)


def _repack_nibbles(packed: UInt8) -> UInt8:
    """GGUF holds inputs j and j+16 of a block in one byte; MatMulNBits holds inputs 2j and 2j+1."""
    q = np.concatenate([packed & 0x0F, packed >> 4], axis=-1)
    repacked: UInt8 = q[..., 0::2] | (q[..., 1::2] << 4)
    return repacked


def _read_q4_0(data: UInt8) -> BlockQuantized:
    blocks = data.reshape(data.shape[0], -1, 18)
    return BlockQuantized(4, _repack_nibbles(blocks[..., 2:]), _float16_field(blocks, 0), None)


def _read_q4_1(data: UInt8) -> BlockQuantized:
    blocks = data.reshape(data.shape[0], -1, 20)
    scales = _float16_field(blocks, 0)
    # d*q + m = d*(q - 8) + (m + 8d)
    return BlockQuantized(4, _repack_nibbles(blocks[..., 4:]), scales, _float16_field(blocks, 2) + 8 * scales)


def _read_q8_0(data: UInt8) -> BlockQuantized:
    blocks = data.reshape(data.shape[0], -1, 34)
    return BlockQuantized(8, blocks[..., 2:] ^ np.uint8(0x80), _float16_field(blocks, 0), None)


_READERS = {
    GGMLQuantizationType.Q4_0: _read_q4_0,
    GGMLQuantizationType.Q4_1: _read_q4_1,
    GGMLQuantizationType.Q8_0: _read_q8_0,
}
