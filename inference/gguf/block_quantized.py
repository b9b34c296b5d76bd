"""A matrix in blocks of small integers with a scale each, as ONNX Runtime's MatMulNBits and GatherBlockQuantized
take it. Knows neither GGUF nor nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class BlockForm:
    """`(q - 2**(bits-1)) * scale`, plus an offset where the form has them, per block of inputs."""

    bits: int
    block: int
    has_offsets: bool = False

    @property
    def block_bytes(self) -> int:
        """Bytes of one packed block."""
        return self.block * self.bits // 8


EIGHT_BITS = BlockForm(8, 32)


@dataclass(frozen=True, slots=True)
class BlockQuantized:
    """Some rows of a matrix in a form.

    `q`: uint8, [rows, inputs/block, block*bits/8], for 4 bits the even input in the low half of a byte.
    `scales`: float32, [rows, inputs/block]. `offsets`: the same shape, None where the form has none.
    """

    form: BlockForm
    q: UInt8
    scales: Float32
    offsets: Float32 | None = None

    @classmethod
    def pack(cls, form: BlockForm, q: UInt8, scales: Float32, offsets: Float32 | None = None) -> BlockQuantized:
        """From one integer a byte, [rows, inputs/block, block]."""
        assert (offsets is not None) == form.has_offsets
        return cls(form, q if form.bits == 8 else q[..., 0::2] | (q[..., 1::2] << np.uint8(4)), scales, offsets)

    def dequantize(self) -> Float32:
        """[rows, inputs]."""
        q = self.q if self.form.bits == 8 else np.stack([self.q & 0x0F, self.q >> 4], axis=-1)
        q = q.reshape(*self.scales.shape, self.form.block)
        values: Float32 = (q.astype(np.float32) - 2 ** (self.form.bits - 1)) * self.scales[..., None]
        if self.offsets is not None:
            values += self.offsets[..., None]
        return values.reshape(len(values), -1)


def quantize(values: Float32) -> BlockQuantized:
    """[rows, inputs] in 8 bits, symmetric, each block's largest magnitude at 127. Inputs are a multiple of 32."""
    blocks = values.reshape(len(values), -1, EIGHT_BITS.block)
    scales: Float32 = np.abs(blocks).max(axis=-1) / np.float32(127)
    inverse = np.divide(1, scales, out=np.zeros_like(scales), where=scales > 0)
    q = np.rint(blocks * inverse[..., None]) + 128
    return BlockQuantized(EIGHT_BITS, np.clip(q, 1, 255).astype(np.uint8), scales)
