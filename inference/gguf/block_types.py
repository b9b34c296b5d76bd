"""GGUF's block-quantised types, rewritten number for number in forms that ONNX Runtime's operators take.

The layout of each block is that of the format's authors (ggml, `ggml-common.h` and the package's `gguf.quants`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from inference.gguf.block_quantized import EIGHT_BITS, BlockForm, BlockQuantized, Float32, UInt8
from inference.gguf.k_quants import read_q2_k, read_q3_k, read_q4_k, read_q5_k, read_q6_k

FLOAT_TYPES = ("F32", "F16", "BF16")

_IQ4_NL_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.int16)


@dataclass(frozen=True, slots=True)
class BlockType:
    """One GGUF type: the form that holds it exactly, the bytes and numbers of its blocks, and how they are read.

    read: blocks [rows, blocks, bytes] to integers [rows, blocks', block], scales and offsets [rows, blocks'].
    """

    form: BlockForm
    bytes: int
    numbers: int
    read: Callable[[UInt8], tuple[UInt8, Float32, Float32 | None]]

    def decode(self, data: UInt8) -> BlockQuantized:
        """Rows of a tensor's bytes, [rows, bytes]."""
        return BlockQuantized.pack(self.form, *self.read(data.reshape(len(data), -1, self.bytes)))


def float16_field(blocks: UInt8, start: int) -> Float32:
    """The half-precision number that stands at byte `start` of every block."""
    field = np.ascontiguousarray(blocks[..., start : start + 2]).view(np.float16)
    return field[..., 0].astype(np.float32)


def _halves(packed: UInt8) -> UInt8:
    """GGUF holds inputs j and j+16 of a block of 32 in one byte."""
    return np.concatenate([packed & 0x0F, packed >> 4], axis=-1)


def _fifth_bits(blocks: UInt8, start: int) -> UInt8:
    """16 for the inputs whose bit in the 32 bits at byte `start` is set, else 0."""
    return np.unpackbits(blocks[..., start : start + 4], axis=-1, bitorder="little") << np.uint8(4)


def _q4_0(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    return _halves(blocks[..., 2:]), float16_field(blocks, 0), None


def _q4_1(blocks: UInt8) -> tuple[UInt8, Float32, Float32]:
    scales = float16_field(blocks, 0)
    # d*q + m = d*(q - 8) + (m + 8d)
    return _halves(blocks[..., 4:]), scales, float16_field(blocks, 2) + 8 * scales


def _q5_0(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    # d*(q - 16), and the form takes 128 off
    return (_halves(blocks[..., 6:]) | _fifth_bits(blocks, 2)) + np.uint8(112), float16_field(blocks, 0), None


def _q5_1(blocks: UInt8) -> tuple[UInt8, Float32, Float32]:
    scales = float16_field(blocks, 0)
    q = (_halves(blocks[..., 8:]) | _fifth_bits(blocks, 4)) + np.uint8(112)
    return q, scales, float16_field(blocks, 2) + 16 * scales


def _q8_0(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    return blocks[..., 2:] ^ np.uint8(0x80), float16_field(blocks, 0), None


def _iq4_nl(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    return (_IQ4_NL_VALUES + 128).astype(np.uint8)[_halves(blocks[..., 2:])], float16_field(blocks, 0), None


BLOCK_TYPES: Mapping[str, BlockType] = MappingProxyType(
    {
        "Q4_0": BlockType(BlockForm(4, 32), 18, 32, _q4_0),
        "Q4_1": BlockType(BlockForm(4, 32, True), 20, 32, _q4_1),
        "Q5_0": BlockType(EIGHT_BITS, 22, 32, _q5_0),
        "Q5_1": BlockType(BlockForm(8, 32, True), 24, 32, _q5_1),
        "Q8_0": BlockType(EIGHT_BITS, 34, 32, _q8_0),
        "Q2_K": BlockType(BlockForm(4, 16, True), 84, 256, read_q2_k),
        "Q3_K": BlockType(BlockForm(4, 16), 110, 256, read_q3_k),
        "Q4_K": BlockType(BlockForm(4, 32, True), 144, 256, read_q4_k),
        "Q5_K": BlockType(BlockForm(8, 32, True), 176, 256, read_q5_k),
        "Q6_K": BlockType(BlockForm(8, 16), 210, 256, read_q6_k),
        "IQ4_NL": BlockType(EIGHT_BITS, 18, 32, _iq4_nl),
    }
)

SUPPORTED_TYPES = (*FLOAT_TYPES, *BLOCK_TYPES)
