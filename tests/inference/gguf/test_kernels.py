"""Graphs that use answerd's own operators: which nodes they have, and that these compute what they stand for."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from inference.gguf.convert import ensure_converted
from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import CPU, Provider
from inference.types import Precision
from tests.inference.gguf.reference import Logits, log_softmax, logits_of
from tests.inference.gguf.tiny_models import FAMILIES, TYPES, TinyModel, of_type, write_model

TOKENS = np.random.default_rng(4).integers(3, 280, 150).tolist()
# Layers of each case, and in how many of them attention is ours: with heads of 64 where nothing else stands against it.
OURS = {"llama": 2, "llama-tied": 2, "llama-biases": 2, "llama-linear": 2, "llama-yarn": 2, "smollm3": 4, "qwen2": 2,
        "qwen2-yarn": 2, "qwen3": 0, "phi3": 2, "gemma2": 0, "gemma3": 0}  # fmt: skip


def converted(folder: Path, model: TinyModel, precision: Precision, *, kernels: bool) -> ModelDirectory:
    source = write_model(folder / "tiny.gguf", model)
    return ModelDirectory.open(
        ensure_converted(source, folder / "cache", precision, lambda done: None, kernels=kernels)
    )


def nodes(directory: ModelDirectory) -> Counter[str]:
    graph = onnx.load(str(directory.graph_path), load_external_data=False).graph
    return Counter(node.op_type for node in graph.node)


def kl(reference: Logits, logits: Logits) -> float:
    expected, actual = log_softmax(reference), log_softmax(logits)
    return float((np.exp(expected) * (expected - actual)).sum(axis=-1).mean())


@pytest.mark.parametrize("name", OURS)
def test_a_family_attends_with_our_kernels_where_they_know_it(tmp_path: Path, own_kernels: Path, name: str) -> None:
    model = replace(FAMILIES[name], head_size=64)
    directory = converted(tmp_path, model, "int8", kernels=True)
    count = nodes(directory)
    assert (count["CachedAttention"], count["GroupQueryAttention"]) == (OURS[name], model.layers - OURS[name])
    assert count["BlockMatMul"] > 0
    assert count["MatMulNBits"] == 0
    reference = logits_of(converted(tmp_path, model, "float32", kernels=False), TOKENS)
    theirs = logits_of(converted(tmp_path, model, "int8", kernels=False), TOKENS)
    ours = logits_of(directory, TOKENS, operators=own_kernels)
    assert kl(reference, ours) < 1.2 * kl(reference, theirs), "rounding costs no more than with ONNX Runtime's"


@pytest.mark.parametrize("kind", TYPES)
def test_every_kind_of_block_has_products_of_ours(tmp_path: Path, kind: str) -> None:
    count = nodes(converted(tmp_path, of_type(kind), "int4", kernels=True))
    assert (count["BlockMatMul"], count["MatMulNBits"]) == (2 * 4 + 1, 0)


def test_a_head_of_another_size_is_left_to_onnx_runtime(tmp_path: Path, own_kernels: Path) -> None:
    model = replace(FAMILIES["llama"], head_size=96)
    directory = converted(tmp_path, model, "int8", kernels=True)
    count = nodes(directory)
    assert (count["CachedAttention"], count["GroupQueryAttention"]) == (0, 2)
    config = directory.config
    assert (config.kernels, config.own_attention, config.uniform) == (True, False, False)
    reference = logits_of(converted(tmp_path, model, "float32", kernels=False), TOKENS)
    assert kl(reference, logits_of(directory, TOKENS, operators=own_kernels)) < 0.01


@pytest.mark.parametrize("precision", ["int4", "int8"])
@pytest.mark.parametrize("name", ["llama", "llama-yarn", "qwen2", "phi3"])
def test_every_call_gives_a_row_the_same_bits(
    tmp_path: Path, own_kernels: Path, name: str, precision: Precision
) -> None:
    """In a chunk, in another chunk, alone and beside others."""
    model = replace(FAMILIES[name], head_size=64, type="Q4_1" if precision == "int4" else "F32")
    directory = converted(tmp_path, model, precision, kernels=True)
    assert directory.config.uniform
    provider = Provider(CPU, "it is a test")
    runner = load_runner(
        directory.graph_path, directory.config, provider, threads=2, slots=3, context=128, operators=own_kernels
    )
    prompt = TOKENS[:120]
    whole = runner.prefill(0, prompt, 0, 60).copy()
    runner.prefill(1, prompt[:61], 0, 0)
    np.testing.assert_array_equal(runner.prefill(1, prompt[61:], 61, 59), whole[1:])
    runner.prefill(1, prompt[:70], 0, 0)
    runner.prefill(2, prompt[:80], 0, 0)
    for step in range(40):
        rows = runner.decode(1, [prompt[70 + step], prompt[80 + step]], [70 + step, 80 + step]).copy()
        np.testing.assert_array_equal(rows, whole[[10 + step, 20 + step]])
    runner.prefill(1, prompt[:70], 0, 0)
    np.testing.assert_array_equal(runner.decode(1, [prompt[70]], [70])[0], whole[10])
    runner.close()


def test_graphs_in_floating_point_have_nodes_of_onnx_runtime_alone(tmp_path: Path) -> None:
    for precision in ("float32", "float16"):
        directory = converted(tmp_path, FAMILIES["llama"], precision, kernels=True)
        assert not directory.config.kernels
        assert nodes(directory)["BlockMatMul"] == 0


def test_a_directory_made_for_our_kernels_says_so(tmp_path: Path) -> None:
    with_them = converted(tmp_path, FAMILIES["llama"], "int4", kernels=True)
    without = converted(tmp_path, FAMILIES["llama"], "int4", kernels=False)
    assert (with_them.config.kernels, without.config.kernels) == (True, False)
    assert with_them.path != without.path
