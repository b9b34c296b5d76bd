"""Offsets of blocks become zero points and further inputs without changing what a matrix does."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.gguf.block_quantized import BlockForm, BlockQuantized
from inference.gguf.block_types import BLOCK_TYPES
from inference.gguf.zero_points import ZeroPointed, copies, further_blocks, with_zero_points
from tests.inference.gguf.test_block_types import blocks_of

WITH_OFFSETS = [kind for kind, block_type in BLOCK_TYPES.items() if block_type.form.has_offsets]


def integers(packed: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    halves = packed if bits == 8 else np.stack([packed & 0x0F, packed >> 4], axis=-1)
    return halves.reshape(*packed.shape[:-1], -1).astype(np.int64)


def weights(found: ZeroPointed, form: BlockForm) -> NDArray[np.float64]:
    """[rows, inputs and further inputs], as MatMulNBits is documented to read them."""
    q = integers(found.q, form.bits)
    zeros = integers(found.zeros, form.bits)[:, : found.scales.shape[1]]
    by_block = (q.reshape(*found.scales.shape, form.block) - zeros[..., None]) * found.scales.astype(np.float64)[
        ..., None
    ]
    flat: NDArray[np.float64] = by_block.reshape(len(q), -1)
    return flat


def effective(found: ZeroPointed, form: BlockForm, inputs: int) -> NDArray[np.float64]:
    """[rows, inputs]: a weight of a block's sum is added to the weight of each of its inputs."""
    all_weights, blocks = weights(found, form), inputs // form.block
    used = all_weights[:, inputs : inputs + copies(form) * blocks].reshape(len(all_weights), copies(form), blocks)
    assert not all_weights[:, inputs + copies(form) * blocks :].any(), "inputs that nobody gives weigh nothing"
    together: NDArray[np.float64] = all_weights[:, :inputs] + np.repeat(used.sum(axis=1), form.block, axis=1)
    return together


def rows_of(offsets: float, scales: float, q: int = 8) -> BlockQuantized:
    """One row of a block of ordinary weights and one of these."""
    packed = np.full((1, 2, 32), q, np.uint8)
    packed[0, 0] = np.arange(32) % 16
    return BlockQuantized.pack(
        BlockForm(4, 32, True),
        packed,
        np.array([[0.01, scales]], np.float32),
        np.array([[0.003, offsets]], np.float32),
    )


@pytest.mark.parametrize("kind", WITH_OFFSETS)
def test_weights_are_off_by_a_small_share_of_what_zero_points_leave(kind: str) -> None:
    rows = BLOCK_TYPES[kind].decode(blocks_of(kind, np.random.default_rng(5)))
    found, inputs = with_zero_points(rows), rows.scales.shape[1] * rows.form.block
    assert found.q.shape[1] == rows.scales.shape[1] + further_blocks(rows.form, rows.scales.shape[1])
    off = np.abs(effective(found, rows.form, inputs) - rows.dequantize())
    assert rows.offsets is not None
    steps = np.abs(rows.scales)
    # A zero point moves a block by whole steps, as far as it has bits.
    rests = np.maximum(steps / 2, np.abs(rows.offsets) - (2 ** (rows.form.bits - 1) - 1) * steps)
    share = 29 if rows.form.bits == 4 else 255
    assert (off.max(axis=1) <= 1.0001 * rests.max(axis=1) / share).all()


def test_a_block_of_equal_weights_keeps_them_and_costs_its_row_no_accuracy() -> None:
    rows = rows_of(offsets=0.75, scales=0.0)
    found = effective(with_zero_points(rows), rows.form, 64)
    np.testing.assert_allclose(found[0, 32:], 0.75, rtol=1e-6)
    assert np.abs(found - rows.dequantize()).max() < 0.01 / 29


def test_a_block_of_one_sign_far_from_zero_is_still_met() -> None:
    rows = rows_of(offsets=0.2, scales=0.01)
    found = effective(with_zero_points(rows), rows.form, 64)
    assert np.abs(found - rows.dequantize()).max() <= 0.2 / 29


def test_a_matrix_of_zeros_stays_one() -> None:
    rows = BlockQuantized.pack(
        BlockForm(4, 32, True),
        np.zeros((3, 2, 32), np.uint8),
        np.zeros((3, 2), np.float32),
        np.zeros((3, 2), np.float32),
    )
    assert not effective(with_zero_points(rows), rows.form, 64).any()
