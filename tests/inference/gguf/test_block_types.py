"""Blocks of every type are the numbers that the format's own package reads from them."""

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType

from inference.gguf.block_quantized import quantize
from inference.gguf.block_types import BLOCK_TYPES
from tests.inference.gguf.tiny_models import random_blocks


def blocks_of(kind: str, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    try:
        found = gguf.quantize(rng.standard_normal((5, 512)).astype(np.float32), GGMLQuantizationType[kind])
    except NotImplementedError:
        found = random_blocks(rng, kind, (5, 512))
    return np.asarray(found, np.uint8)


@pytest.mark.parametrize("kind", BLOCK_TYPES)
def test_a_type_is_rewritten_number_for_number(kind: str) -> None:
    data = blocks_of(kind, np.random.default_rng(3))
    expected = gguf.dequantize(data, GGMLQuantizationType[kind])
    found = BLOCK_TYPES[kind].decode(data)
    assert found.form == BLOCK_TYPES[kind].form
    # An offset of its own may round the last bit of the sum in another way.
    np.testing.assert_allclose(found.dequantize(), expected, rtol=0, atol=2e-7 * float(np.abs(expected).max()))


def test_floating_point_in_8_bits_is_off_by_half_a_step_at_most() -> None:
    values = np.random.default_rng(4).standard_normal((7, 96)).astype(np.float32)
    values[0] = 0.0
    steps = np.repeat(np.abs(values.reshape(7, 3, 32)).max(axis=-1), 32, axis=-1) / 127
    assert (np.abs(quantize(values).dequantize() - values) <= 0.5001 * steps).all()
