"""What our own operator takes, and what it refuses; of weights that is known only when they are packed."""

import numpy as np
import pytest

from inference.gguf.block_quantized import BlockForm, BlockQuantized
from inference.gguf.errors import UnsupportedModelError
from inference.gguf.packed import can_pack, pack, packed_bytes

FORM = BlockForm(4, 32, True)


def rows(scale: float) -> BlockQuantized:
    scales = np.full((16, 2), scale, np.float32)
    return BlockQuantized.pack(FORM, np.ones((16, 2, 32), np.uint8), scales, np.zeros_like(scales))


@pytest.mark.parametrize(
    ("form", "outputs", "taken"),
    [(FORM, 32, True), (FORM, 24, False), (BlockForm(8, 16), 16, True), (BlockForm(8, 64), 16, False)],
)
def test_blocks_of_16_or_32_of_a_multiple_of_16_outputs_are_taken(form: BlockForm, outputs: int, taken: bool) -> None:
    assert can_pack(form, outputs) == taken


def test_a_packed_matrix_has_the_promised_size() -> None:
    assert pack(rows(0.5)).shape == (1, 2, packed_bytes(FORM)) == (1, 2, 320)


def test_a_scale_beyond_half_precision_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnsupportedModelError, match=r"beyond half precision .* set ANSWERD_KERNELS=off"):
        pack(rows(1e6))


def test_a_scale_that_is_no_number_is_refused_as_damage() -> None:
    with pytest.raises(FloatingPointError):
        pack(rows(np.nan))
