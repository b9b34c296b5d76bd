"""The K types of GGUF: superblocks of 256 numbers, with small integer scales for the blocks inside them.

Each reader takes superblocks [rows, superblocks, bytes] and gives integers [rows, blocks, block], scales and offsets
[rows, blocks], such that a number is `(q - 2**(bits-1)) * scale + offset`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]
UInt8 = npt.NDArray[np.uint8]


def read_q2_k(blocks: UInt8) -> tuple[UInt8, Float32, Float32]:
    """`d*sc*q - dmin*m`, blocks of 16, q of 2 bits in 4: 16 bytes of sc and m, 64 of q, d, dmin."""
    scales = _halves_at(blocks, 80) * (blocks[..., :16] & 0x0F)
    offsets = 8 * scales - _halves_at(blocks, 82) * (blocks[..., :16] >> 4)
    return _blocks(_planes(blocks[..., 16:80], 2), 16), _rows(scales), _rows(offsets)


def read_q3_k(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    """`d*(sc-32)*(q-4)`, blocks of 16, q of 3 bits in 4: 32 bytes of high bits, 64 of low ones, 12 of sc, d."""
    low, high = _planes(blocks[..., 32:96], 2), _planes(blocks[..., :32], 1)
    packed = blocks[..., 96:108]
    quarters = np.concatenate([packed[..., 8:] >> shift for shift in (0, 2, 4, 6)], axis=-1)
    scales = np.concatenate([packed[..., :8] & 0x0F, packed[..., :8] >> 4], axis=-1) | ((quarters & 3) << np.uint8(4))
    signed = scales.astype(np.float32) - 32
    return _blocks((low | (high << np.uint8(2))) + np.uint8(4), 16), _rows(_halves_at(blocks, 108) * signed), None


def read_q4_k(blocks: UInt8) -> tuple[UInt8, Float32, Float32]:
    """`d*sc*q - dmin*m`, blocks of 32, q of 4 bits: d, dmin, 12 bytes of sc and m, 128 of q."""
    scales, minima = _scales_and_minima(blocks)
    return _blocks(_nibbles(blocks[..., 16:], 32), 32), _rows(scales), _rows(8 * scales - minima)


def read_q5_k(blocks: UInt8) -> tuple[UInt8, Float32, Float32]:
    """As Q4_K with a fifth bit for each q in 32 bytes before them, in 8 bits."""
    scales, minima = _scales_and_minima(blocks)
    q = _nibbles(blocks[..., 48:], 32) | (_planes(blocks[..., 16:48], 1) << np.uint8(4))
    return _blocks(q + np.uint8(112), 32), _rows(scales), _rows(16 * scales - minima)


def read_q6_k(blocks: UInt8) -> tuple[UInt8, Float32, None]:
    """`d*sc*(q-32)`, blocks of 16, q of 6 bits in 8: 128 bytes of low bits, 64 of high ones, 16 of sc, d."""
    low, high = _nibbles(blocks[..., :128], 64), _planes(blocks[..., 128:192], 2)
    scales = np.ascontiguousarray(blocks[..., 192:208]).view(np.int8)
    return _blocks((low | (high << np.uint8(4))) + np.uint8(96), 16), _rows(_halves_at(blocks, 208) * scales), None


def _halves_at(blocks: UInt8, start: int) -> Float32:
    """The half-precision number at byte `start` of every superblock, [rows, superblocks, 1]."""
    return np.ascontiguousarray(blocks[..., start : start + 2]).view(np.float16).astype(np.float32)


def _planes(packed: UInt8, bits: int) -> UInt8:
    """Runs of 32 bytes hold the next 32 numbers in their lowest bits, the 32 after those above them, and so on."""
    runs = packed.reshape(*packed.shape[:-1], -1, 1, 32)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return ((runs >> shifts) & np.uint8((1 << bits) - 1)).reshape(*packed.shape[:-1], -1)


def _nibbles(packed: UInt8, run: int) -> UInt8:
    """Runs of bytes hold the next numbers in their low halves and those after them in the high ones."""
    runs = packed.reshape(*packed.shape[:-1], -1, 1, run)
    shifts = np.array([[0], [4]], dtype=np.uint8)
    return ((runs >> shifts) & np.uint8(0x0F)).reshape(*packed.shape[:-1], -1)


def _scales_and_minima(blocks: UInt8) -> tuple[Float32, Float32]:
    """Eight scales and eight minima of six bits in twelve bytes, [rows, superblocks, 8] each."""
    first, second, mixed = (blocks[..., start : start + 4] for start in (4, 8, 12))
    scales = np.concatenate([first & 0x3F, (mixed & 0x0F) | ((first >> 2) & 0x30)], axis=-1)
    minima = np.concatenate([second & 0x3F, (mixed >> 4) | ((second >> 2) & 0x30)], axis=-1)
    return _halves_at(blocks, 0) * scales, _halves_at(blocks, 2) * minima


def _blocks(q: UInt8, block: int) -> UInt8:
    return q.reshape(len(q), -1, block)


def _rows(values: Float32) -> Float32:
    return values.astype(np.float32, copy=False).reshape(len(values), -1)
