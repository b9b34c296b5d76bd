"""Blocks of integers as the operator BlockMatMul reads them (inference/kernels/block_matmul.h). Knows no nodes."""

from __future__ import annotations

import numpy as np

from inference.gguf.block_quantized import BlockForm, BlockQuantized, Float32, UInt8
from inference.gguf.errors import UnsupportedModelError

# Outputs that lie side by side, and inputs of one that do.
OUTPUTS, _INPUTS = 16, 4


def can_pack(form: BlockForm, outputs: int) -> bool:
    """Whether the operator takes a matrix of that form."""
    return form.bits in (4, 8) and form.block in (16, 32) and outputs % OUTPUTS == 0


def packed_bytes(form: BlockForm) -> int:
    """Bytes of one block of OUTPUTS outputs: integers, then scales and offsets in half precision."""
    return OUTPUTS * (form.block_bytes + 4)


def pack(rows: BlockQuantized) -> UInt8:
    """A multiple of 16 rows as [rows/16, blocks, packed_bytes]: a number is `scale * q + offset`, q as it is stored.

    Raises UnsupportedModelError for scales beyond half precision, FloatingPointError for those that are no numbers.
    Scales and offsets lose what half precision cannot hold, 1/2048 at most, or 3e-8 of those below 6e-5: nothing in
    types of GGUF whose blocks have scales of their own, and less than rounding activations to 8 bits in those that
    multiply two.
    """
    form, (count, blocks) = rows.form, rows.scales.shape
    middle = np.float32(2 ** (form.bits - 1))
    offsets = -middle * rows.scales if rows.offsets is None else rows.offsets - middle * rows.scales
    q = rows.q if form.bits == 8 else np.stack([rows.q & 0x0F, rows.q >> 4], axis=-1)
    entries = q.reshape(count // OUTPUTS, OUTPUTS, blocks, form.block // _INPUTS, _INPUTS).transpose(0, 2, 3, 1, 4)
    if form.bits == 4:
        half = form.block // _INPUTS // 2
        entries = entries[:, :, :half] | (entries[:, :, half:] << np.uint8(4))
    integers = entries.reshape(count // OUTPUTS, blocks, -1)
    return np.concatenate([integers, _halves(rows.scales), _halves(offsets)], axis=-1)


def _halves(numbers: Float32) -> UInt8:
    """[rows, blocks] to [rows/16, blocks, 32 bytes]."""
    with np.errstate(over="ignore"):
        halves = numbers.astype(np.float16)
    if not np.isfinite(numbers).all():
        raise FloatingPointError
    if not np.isfinite(halves).all():
        raise UnsupportedModelError(
            f"It has blocks whose scale or offset is beyond half precision ({np.abs(numbers).max():.3g}),"
            " which answerd's own kernels do not take: set ANSWERD_KERNELS=off."
        )
    groups = halves.reshape(-1, OUTPUTS, numbers.shape[1]).transpose(0, 2, 1)
    return np.ascontiguousarray(groups).view(np.uint8)
