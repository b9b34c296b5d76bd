"""Every family and every type computes what llama.cpp computes from the same file (see golden/make_families.py)."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.gguf.convert import ensure_converted
from inference.gguf.families import FAMILIES as KNOWN
from inference.model import ModelDirectory
from inference.types import ModelFileError, Precision
from tests.inference.gguf.reference import Logits, log_softmax, logits_of
from tests.inference.gguf.tiny_models import FAMILIES, TYPES, TinyModel, of_type, write_model

GOLDEN: dict[str, Any] = dict(np.load(Path(__file__).parent / "golden" / "families.npz"))
# KL in nats. These models are touchier than trained ones, and CPUs round differently: up to 0.0105 were seen.
TOLERATED = {"int4": 1.5e-2, "int8": 1.5e-2, "float16": 1e-4}
Run = Callable[..., Logits]
PRECISIONS = [("int4", True), ("int4", False), ("int8", True), ("int8", False), ("float16", False)]


@pytest.fixture
def run(tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    """Logits of a model in a precision after each of the golden tokens that were kept; kernels: by our own kernels."""

    def convert_and_run(model: TinyModel, precision: Precision, kernels: bool = False) -> Logits:
        operators: Path | None = request.getfixturevalue("own_kernels") if kernels else None
        source = write_model(tmp_path / "tiny.gguf", model)
        directory = ensure_converted(source, tmp_path / "cache", precision, lambda done: None, kernels=kernels)
        opened = ModelDirectory.open(directory)
        assert opened.config.kernels == kernels
        logits = logits_of(opened, GOLDEN["tokens"].tolist(), room=model.room, operators=operators)
        kept: Logits = logits[GOLDEN["rows"]]
        return kept

    return convert_and_run


def kl(reference: Logits, logits: Logits) -> float:
    expected, actual = log_softmax(reference), log_softmax(logits)
    return float((np.exp(expected) * (expected - actual)).sum(axis=-1).mean())


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_has_the_logits_of_llama_cpp(run: Run, name: str) -> None:
    """Logits reach 4; llama.cpp reads GELU from a table in half precision, which Gemma's differences come from."""
    tolerance = 4e-3 if name.startswith("gemma") else 2e-4
    np.testing.assert_allclose(run(FAMILIES[name], "float32"), GOLDEN[name], rtol=0, atol=tolerance)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_has_the_logits_of_llama_cpp(run: Run, kind: str) -> None:
    np.testing.assert_allclose(run(of_type(kind), "float32"), GOLDEN[kind], rtol=0, atol=1e-3)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(("precision", "kernels"), PRECISIONS)
def test_a_type_stays_close_in_every_precision(run: Run, kind: str, precision: Precision, kernels: bool) -> None:
    """What is left is rounding: of activations to 8 bits in int4 and int8, of weights in int8 and float16."""
    assert kl(GOLDEN[kind], run(of_type(kind), precision, kernels)) < TOLERATED[precision]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(("precision", "kernels"), [case for case in PRECISIONS if case[0] != "int8"])
def test_a_family_stays_close_in_every_precision(run: Run, name: str, precision: Precision, kernels: bool) -> None:
    assert kl(GOLDEN[name], run(FAMILIES[name], precision, kernels)) < TOLERATED[precision]


@pytest.mark.parametrize("architecture", ["llama", "phi3"])
def test_a_window_ends_where_the_file_says(tmp_path: Path, architecture: str) -> None:
    """llama.cpp does not apply these two families' windows; with one layer what a row sees can be told directly."""
    case = TinyModel(architecture, {"attention.sliding_window": 8}, layers=1, hidden=128, fused=architecture == "phi3")
    source = write_model(tmp_path / "window.gguf", case)
    model = ModelDirectory.open(ensure_converted(source, tmp_path / "cache", "float32", lambda done: None))
    tokens = GOLDEN["tokens"].tolist()
    changed = [*tokens[:10], tokens[10] ^ 1, *tokens[11:]]
    differences = np.abs(logits_of(model, tokens) - logits_of(model, changed)).max(axis=1)
    assert np.flatnonzero(differences > 1e-4).tolist() == list(range(10, 18))


def test_a_pattern_of_one_leaves_no_layer_a_window(run: Run) -> None:
    """llama.cpp does not load such a file, though that is what its rule says."""
    keys = {"attention.sliding_window": 8, "attention.sliding_window_pattern": 1}
    without = replace(FAMILIES["gemma2"], keys={"attention.sliding_window": 0})
    np.testing.assert_array_equal(run(replace(without, keys=keys), "float32"), run(without, "float32"))


@pytest.mark.parametrize("pattern", [(True, False), (1.0, 0.0, 0.0)])
def test_a_pattern_that_is_not_a_flag_for_each_layer_is_refused(run: Run, pattern: tuple[Any, ...]) -> None:
    case = replace(FAMILIES["gemma2"], keys={"attention.sliding_window_pattern": pattern})
    with pytest.raises(ModelFileError, match=r"gemma2\.attention\.sliding_window_pattern has not 3 truth values"):
        run(case, "float32")


def test_every_family_has_golden_logits() -> None:
    assert {model.architecture for model in FAMILIES.values()} == set(KNOWN)


def test_the_golden_logits_tell_the_cases_apart() -> None:
    """So that none of the things in which the cases differ could be left out unnoticed."""
    for one, other in [
        ("llama", "llama-linear"), ("llama", "llama-yarn"), ("llama", "llama-3.1"), ("phi3-short", "phi3-long"),
        ("qwen2", "qwen2-yarn"), ("gemma2", "gemma3"), ("gemma3-pattern", "gemma3-all-windows"),
        ("gemma3-pattern", "gemma3-flags"), ("gemma3-all-windows", "gemma3-flags"),
    ]:  # fmt: skip
        assert np.abs(GOLDEN[one] - GOLDEN[other]).max() > 0.1, (one, other)
