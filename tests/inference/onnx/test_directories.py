"""Published layouts, from the directory to logits: they equal the decoder's in numpy, whatever the graph declares."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import choose_provider
from inference.onnx.runner import OnnxRunner
from inference.types import ModelFileError, Precision
from tests.inference.onnx.directories import save_genai, save_optimum
from tests.inference.onnx.tiny_decoder import CONFIG, TinyDecoder
from tests.inference.onnx.tiny_graph import Form, save_tiny_decoder

RENAMED = {"input_ids": "tokens", "attention_mask": "seen", "past_key_values": "memory", "present": "kept"}
GENAI = {
    "mask": Form(position_ids=False),
    "mask and positions": Form(),
    "float16": Form("float16", position_ids=False),
    "int4": Form("int4", position_ids=False),
    "int8": Form("int8", position_ids=False),
    "lengths": Form(mask=False, position_ids=False),
    "lengths, asked rows": Form(mask=False, position_ids=False, rows="asked"),
    "renamed": Form(renamed={**RENAMED, "logits": "scores"}),
    "32-bit ids": Form(index_type=TensorProto.INT32),
    "appends": Form(appends=True),
}
OPTIMUM = {
    "plain": Form(appends=True),
    "no positions": Form(appends=True, position_ids=False),
    "with and without past": Form(appends=True, branches=True),
    "last rows": Form(appends=True, rows="last few"),
    "one sequence": Form(appends=True, batch=1),
    "grouped attention": Form(rows="last few"),
}
FILES: dict[Precision, tuple[str, Form]] = {
    "float32": ("onnx/model.onnx", Form(appends=True)),
    "float16": ("onnx/model_fp16.onnx", Form("float16", appends=True)),
    "int8": ("onnx/model_quantized.onnx", Form("int8", appends=True)),
    "int4": ("onnx/model_q4.onnx", Form("int4")),
}


def load(directory: ModelDirectory) -> OnnxRunner:
    provider = choose_provider("cpu")
    return load_runner(directory.graph_path, directory.config, provider, threads=1, slots=4, context=48)


def assert_same_logits(runner: OnnxRunner, model: TinyDecoder) -> None:
    """Three prompts of different lengths in two chunks each, then two decode calls for all."""
    tolerance = 0.05 if model.precision == "float16" else 1e-4
    texts = [[(7 * index + slot) % 290 + 3 for index in range(length)] for slot, length in enumerate((5, 12, 9))]
    for slot, text in enumerate(texts):
        runner.prefill(slot, text[:3], 0, 0)
        logits = runner.prefill(slot, text[3:], 3, 2)
        np.testing.assert_allclose(logits, model.logits(text)[-2:], rtol=0, atol=tolerance)
    for step in range(2):
        lengths = [len(text) for text in texts]
        for slot, text in enumerate(texts):
            text.append(20 * slot + step)
        logits = runner.decode(0, [text[-1] for text in texts], lengths)
        expected = np.stack([model.logits(text)[-1] for text in texts])
        np.testing.assert_allclose(logits, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", GENAI.values(), ids=GENAI)
def test_a_genai_directory_has_the_logits_of_the_decoder(tmp_path: Path, form: Form) -> None:
    model = save_genai(tmp_path, form)
    assert_same_logits(load(ModelDirectory.open(tmp_path)), model)


@pytest.mark.parametrize("form", OPTIMUM.values(), ids=OPTIMUM)
def test_an_optimum_directory_has_the_logits_of_the_decoder(tmp_path: Path, form: Form) -> None:
    models = save_optimum(tmp_path, {"onnx/model.onnx": form})
    assert_same_logits(load(ModelDirectory.open(tmp_path)), models["onnx/model.onnx"])


@pytest.mark.parametrize("precision", FILES)
def test_each_precision_of_an_optimum_directory_has_the_logits_of_its_own_weights(
    tmp_path: Path, precision: Precision
) -> None:
    models = save_optimum(tmp_path, dict(FILES.values()))
    directory = ModelDirectory.open(tmp_path, [precision])
    assert directory.config.precision == precision
    assert_same_logits(load(directory), models[FILES[precision][0]])


def test_activations_that_are_quantised_by_the_call_come_close(tmp_path: Path) -> None:
    """onnx-community's int8: one scale for all that a call holds, so a few of 300 logits swap places."""
    model = save_optimum(tmp_path, {"onnx/model_int8.onnx": Form("dynamic int8", appends=True)})["onnx/model_int8.onnx"]
    runner = load(ModelDirectory.open(tmp_path))
    text = [(7 * index) % 290 + 3 for index in range(12)]
    logits, expected = runner.prefill(0, text, 0, 12), model.logits(text)
    assert np.corrcoef(logits.ravel(), expected.ravel())[0, 1] > 0.99


def spoil_type(graph: Any) -> None:
    graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE


def add_input(graph: Any) -> None:
    graph.input.append(helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, [1, 3]))


def name_hostilely(graph: Any) -> None:
    graph.input.append(helper.make_tensor_value_info("a\n\x1b[31m" + "n" * 5000, TensorProto.FLOAT, [1, 3]))


def call_hostilely(graph: Any) -> None:
    graph.node[0].op_type = "a\x1b[31m" + "n" * 5000


def drop_present(graph: Any) -> None:
    del graph.output[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            add_input,
            "The graph has the input 'pixel_values', which is not supported; supported are input_ids, attention",
        ),
        (drop_present, "The graph lacks a cache for the values of layer 0"),
        (spoil_type, "cannot be run: "),
        (name_hostilely, "The graph has the input 'a\\n\\x1b[31mnnn"),
        (call_hostilely, "cannot be run: "),
    ],
)
def test_a_graph_that_declares_something_else_is_refused(
    tmp_path: Path, change: Callable[[Any], None], problem: str
) -> None:
    path = tmp_path / "model.onnx"
    save_tiny_decoder(path, Form(appends=True))
    proto = onnx.load(path)
    change(proto.graph)
    onnx.save(proto, path)
    with pytest.raises(ModelFileError) as caught:
        load_runner(path, CONFIG, choose_provider("cpu"), threads=1, slots=2, context=16)
    assert str(caught.value).startswith(f"{path}")
    assert problem in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(path)) + 500


def test_a_graph_with_embeddings_for_input_is_refused(tmp_path: Path) -> None:
    save_tiny_decoder(tmp_path / "model.onnx", Form(renamed={"input_ids": "inputs_embeds"}))
    with pytest.raises(ModelFileError, match="the input 'inputs_embeds', which is not supported"):
        load_runner(tmp_path / "model.onnx", CONFIG, choose_provider("cpu"), threads=1, slots=2, context=16)
