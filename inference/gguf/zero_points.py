"""Offsets of blocks in the form that MatMulNBits multiplies in one pass: an integer zero point for each block, and what
is left of the offset as the weight of a further input, the sum of the block's inputs. Knows neither GGUF nor nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.gguf.block_quantized import BlockForm, BlockQuantized, Float32, UInt8


@dataclass(frozen=True, slots=True)
class ZeroPointed:
    """Some rows of a matrix over its inputs and, behind them, `copies(form)` times the sums of its blocks of inputs.

    q: uint8 [rows, blocks, bytes of a block], further blocks included. scales: float32 [rows, blocks].
    zeros: uint8 [rows, bytes], for 4 bits the even block in the low half of a byte.
    """

    q: UInt8
    scales: Float32
    zeros: UInt8


def copies(form: BlockForm) -> int:
    """How often the sums are given: two weights of 4 bits add up to one of 5, and so fine must the rest be."""
    return 2 if form.bits == 4 else 1


def further_blocks(form: BlockForm, blocks: int) -> int:
    """Blocks that the sums of so many blocks take."""
    return -(-copies(form) * blocks // form.block)


def with_zero_points(rows: BlockQuantized) -> ZeroPointed:
    """Rows with offsets, without them. The rests of a row share a scale, so each is off by 1/29 of the largest at most
    (1/255 in 8 bits), and a rest is at most half a step of its block where the block has weights of both signs."""
    form, middle = rows.form, 2 ** (rows.form.bits - 1)
    q, scales, offsets = _without_constants(rows)
    exact = middle - np.divide(offsets, scales, out=np.zeros_like(scales), where=scales != 0)
    zeros = np.clip(np.rint(exact), 0, 2 * middle - 1)
    rest_scales, codes = _rests(form, offsets - (middle - zeros) * scales)
    further = codes.shape[1] // form.block
    packed = BlockQuantized.pack(BlockForm(form.bits, form.block), codes.reshape(len(codes), further, -1), rest_scales)
    return ZeroPointed(
        np.concatenate([q, packed.q], axis=1),
        np.concatenate([scales, np.repeat(rest_scales, further, axis=1)], axis=1),
        _packed(form, np.concatenate([zeros, np.full((len(zeros), further), middle)], axis=1)),
    )


def _without_constants(rows: BlockQuantized) -> tuple[UInt8, Float32, Float32]:
    """Integers, scales and offsets; a block of equal numbers, all offset, becomes one of equal integers."""
    assert rows.offsets is not None
    constant = (rows.scales == 0) & (rows.offsets != 0)
    scales = np.where(constant, rows.offsets / (2 ** (rows.form.bits - 1) - 1), rows.scales)
    return np.where(constant[..., None], np.uint8(0xFF), rows.q), scales, np.where(constant, 0, rows.offsets)


def _rests(form: BlockForm, rests: Float32) -> tuple[Float32, UInt8]:
    """A scale for each row, [rows, 1], and one integer a byte for each further input, whole blocks of them."""
    middle, times, blocks = 2 ** (form.bits - 1), copies(form), rests.shape[1]
    scales: Float32 = np.abs(rests).max(axis=1, keepdims=True) / np.float32(times * (middle - 1) + 0.5)
    steps = np.divide(rests, scales, out=np.zeros_like(rests), where=scales > 0)
    steps = np.clip(np.rint(steps), -times * middle, times * (middle - 1))
    codes = np.full((len(rests), further_blocks(form, blocks) * form.block), middle, np.uint8)
    for left in range(times, 0, -1):
        share = np.rint(steps / left)
        start = (times - left) * blocks
        codes[:, start : start + blocks] = share + middle
        steps = steps - share
    return scales, codes


def _packed(form: BlockForm, zeros: Float32) -> UInt8:
    whole = zeros.astype(np.uint8)
    if form.bits == 8:
        return whole
    whole = np.pad(whole, ((0, 0), (0, whole.shape[1] % 2)))
    packed: UInt8 = whole[:, 0::2] | (whole[:, 1::2] << np.uint8(4))
    return packed
