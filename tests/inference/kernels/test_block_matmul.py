"""Products of blocks of integers, by each instruction set, against the same in numpy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.gguf.block_quantized import BlockForm
from inference.gguf.packed import pack
from tests.inference.kernels.conftest import compiled
from tests.inference.kernels.products import (
    FORMS,
    INSTRUCTIONS,
    Floats,
    Operator,
    expected,
    multiply,
    random_weights,
)

FORM = BlockForm(4, 32, True)


def activations(rows: int, inputs: int, seed: int = 1) -> Floats:
    """With blocks of very different size, as those of a model are."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((rows, inputs)) * np.exp(rng.normal(size=(1, inputs)))).astype(np.float32)


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 16, 67])
def test_a_product_is_that_of_activations_rounded_to_8_bits(library: Path, form: BlockForm, rows: int) -> None:
    weights, x = random_weights(form, 48, 5 * form.block), activations(rows, 5 * form.block)
    y = multiply(Operator.of(library, weights).session(), x)
    np.testing.assert_allclose(y, expected(x, weights), rtol=0, atol=1e-5 * np.abs(x).max())


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_rounding_costs_less_than_a_hundredth(library: Path, form: BlockForm) -> None:
    weights, x = random_weights(form, 160, 576), activations(40, 576)
    exact = x.astype(np.float64) @ weights.dequantize().T
    error = multiply(Operator.of(library, weights).session(), x) - exact
    assert np.sqrt((error**2).mean() / (exact**2).mean()) < 0.01


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_row_has_the_same_result_to_the_bit_in_any_company(library: Path, form: BlockForm) -> None:
    weights, x = random_weights(form, 64, 128), activations(70, 128)
    operator = Operator.of(library, weights)
    together = multiply(operator.session(2), x)
    for threads, size in ((1, 1), (2, 2), (3, 5), (2, 16)):
        session = operator.session(threads)
        parts = [multiply(session, x[start : start + size]) for start in range(0, len(x), size)]
        np.testing.assert_array_equal(np.concatenate(parts), together)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_the_instruction_sets_agree_to_the_bit(model_cache: Path, form: BlockForm) -> None:
    weights, x = random_weights(form, 48, 96), activations(11, 96)
    results = [multiply(Operator.of(compiled(model_cache, name), weights).session(), x) for name in INSTRUCTIONS]
    np.testing.assert_array_equal(results[0], results[1])


def test_every_integer_is_multiplied_exactly(library: Path) -> None:
    """The largest and the smallest of both sides at once, where narrower sums would saturate."""
    for form in FORMS:
        for q in (0, 2**form.bits - 1):
            weights = random_weights(form, 16, form.block)
            full = replace(weights, q=np.full_like(weights.q, q if form.bits == 8 else q * 17))
            for sign in (-1, 1):
                x = np.full((3, form.block), sign * 127, np.float32)
                y = multiply(Operator.of(library, full).session(), x)
                np.testing.assert_allclose(y, expected(x, full), rtol=1e-5, atol=1e-3)


def test_all_dimensions_but_the_last_are_rows(library: Path) -> None:
    weights, x = random_weights(FORM, 32, 64), activations(12, 64)
    session = Operator.of(library, weights).session()
    flat = multiply(session, x)
    np.testing.assert_array_equal(multiply(session, x.reshape(2, 3, 2, 64)), flat.reshape(2, 3, 2, 32))
    assert multiply(session, x[:0]).shape == (0, 32)
    assert multiply(session, x[0]).shape == (32,)


def test_a_block_of_zeros_counts_for_nothing(library: Path) -> None:
    weights, x = random_weights(FORM, 32, 64), activations(4, 64)
    x[:, :32] = 0
    session = Operator.of(library, weights).session()
    np.testing.assert_array_equal(multiply(session, np.zeros_like(x)), np.zeros((4, 32)))
    np.testing.assert_allclose(multiply(session, x), expected(x, weights), rtol=0, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_makes_its_row_none(library: Path, bad: float) -> None:
    """And no other row: so that the sampler sees that the model broke."""
    weights, x = random_weights(FORM, 32, 64), activations(5, 64)
    x[2, 40] = bad
    y = multiply(Operator.of(library, weights).session(), x)
    assert np.isnan(y[2]).all()
    assert np.isfinite(y[[0, 1, 3, 4]]).all()


def test_tiny_numbers_count_for_nothing(library: Path) -> None:
    """127 divided by them would be infinite."""
    weights = random_weights(FORM, 32, 64)
    y = multiply(Operator.of(library, weights).session(), np.full((2, 64), 1e-38, np.float32))
    np.testing.assert_array_equal(y, np.zeros((2, 32)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"attributes": {"bits": 5, "block_size": 32}}, "bits must be 4 or 8 and block_size 16 or 32"),
        ({"attributes": {"bits": 4, "block_size": 64}}, "bits must be 4 or 8 and block_size 16 or 32"),
        ({"attributes": {"bits": 8, "block_size": 32}}, "weights' shape does not fit"),
        ({"packed": np.zeros((2, 640), np.uint8)}, "weights' shape does not fit"),
        ({"packed": np.zeros((2, 2, 319), np.uint8)}, "weights' shape does not fit"),
        ({"packed": np.zeros((1,) * 9, np.uint8)}, "too many dimensions"),
        ({"packed": np.zeros((1 << 40, 0, 320), np.uint8)}, "no weights, or too many"),
        ({"packed": np.zeros((0, 2, 320), np.uint8)}, "no weights, or too many"),
        ({"is_constant": False}, "the weights must be constant"),
        ({"attributes": {"bits": 4}}, "block_size"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_node_that_makes_no_sense_is_refused_by_name(library: Path, change: dict[str, object], reason: str) -> None:
    operator = Operator.of(library, random_weights(FORM, 32, 64))
    with pytest.raises(Exception, match=reason):
        replace(operator, **change).session()  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 63), (3, 96), (), (64, 3)])
def test_activations_of_another_width_are_refused(library: Path, shape: tuple[int, ...]) -> None:
    session = Operator.of(library, random_weights(FORM, 32, 64)).session()
    with pytest.raises(Exception, match="x has not as many inputs as the weights"):
        multiply(session, np.zeros(shape, np.float32))


def test_packing_is_what_the_kernel_reads() -> None:
    """The layout in words (block_matmul.h), for one weight at a time."""
    for form in FORMS:
        weights = random_weights(form, 32, 2 * form.block)
        packed = pack(weights)
        entries = form.block // 4
        for output, entry in ((3, 0), (17, entries - 1), (31, entries // 2)):
            block = packed[output // 16, 1]
            group, high = (entry, False) if form.bits == 8 else (entry % (entries // 2), entry >= entries // 2)
            stored = block[group * 64 + output % 16 * 4 + 2]
            q = stored if form.bits == 8 else (stored >> 4 if high else stored & 15)
            halves = block[-64:].view(np.float16).astype(np.float64)
            number = halves[output % 16] * int(q) + halves[16 + output % 16]
            true = weights.dequantize()[output, form.block + 4 * entry + 2]
            assert number == pytest.approx(true, abs=1e-3)
