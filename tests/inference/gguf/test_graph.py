"""The converted graphs compute what the file says, shown by numbers against an independent engine."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from inference.gguf.convert import ensure_converted
from inference.model import ModelDirectory
from inference.types import Precision
from tests.inference.gguf.reference import Logits, compare, log_softmax, logits_of

GOLDEN = Path(__file__).parent / "golden"
Converted = Callable[[Precision], ModelDirectory]


@pytest.fixture(scope="module")
def text(converted: Converted) -> tuple[int, ...]:
    """One fixed text of more than 1,000 tokens."""
    tokens = converted("float32").tokenizer.encode([((GOLDEN / "text.txt").read_text(), False)])
    assert len(tokens) >= 1000
    return tokens


@pytest.fixture(scope="module")
def reference(converted: Converted, text: tuple[int, ...]) -> Logits:
    return logits_of(converted("float32"), text)


def test_the_float32_graph_has_the_logits_of_llama_cpp(converted: Converted) -> None:
    """golden/make_logits.py made them with llama.cpp in float32; logits reach 31, rounding differs by 0.016."""
    golden = np.load(GOLDEN / "logits.npz")
    logits = logits_of(converted("float32"), golden["tokens"].tolist())
    kept = np.take_along_axis(logits, golden["best"].astype(np.int64), axis=1)
    np.testing.assert_allclose(kept, golden["logits"], rtol=0, atol=0.05)
    np.testing.assert_array_equal(logits.argmax(axis=1), golden["best"][:, 0])
    normalisers = kept[:, 0] - log_softmax(logits).max(axis=1)
    np.testing.assert_allclose(normalisers, golden["normalisers"], rtol=0, atol=0.05)


@pytest.mark.parametrize("kernels", [True, False], ids=["answerd's kernels", "ONNX Runtime's"])
def test_the_served_graph_stays_close_to_the_float32_graph(
    model_file: Path,
    model_cache: Path,
    request: pytest.FixtureRequest,
    text: tuple[int, ...],
    reference: Logits,
    kernels: bool,
) -> None:
    operators = request.getfixturevalue("own_kernels") if kernels else None
    directory = ensure_converted(model_file, model_cache, "int4", lambda done: None, kernels=kernels)
    result = compare(reference, logits_of(ModelDirectory.open(directory), text, operators=operators), text)
    assert result.kl <= 0.006
    assert result.perplexity == pytest.approx(result.reference_perplexity, rel=0.01)


def test_the_float16_graph_is_the_float32_graph_but_for_rounding(
    converted: Converted, text: tuple[int, ...], reference: Logits
) -> None:
    """This graph is made for CUDA; the CPU provider shows that it is right."""
    result = compare(reference, logits_of(converted("float16"), text), text)
    assert result.kl <= 0.0001
    assert result.perplexity == pytest.approx(result.reference_perplexity, rel=0.001)


def test_the_comparison_sees_a_wrong_graph(converted: Converted, text: tuple[int, ...], reference: Logits) -> None:
    """Guards the tests above: a small systematic error in the logits fails them."""
    worse = reference * np.float32(1.15)
    assert compare(reference, worse, text).kl > 0.006
