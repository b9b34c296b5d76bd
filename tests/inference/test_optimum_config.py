"""Directories in Optimum's layout: which graph is taken, what the config files say, and which of them is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from inference.chat import Segment
from inference.model import ModelDirectory, precisions_for
from inference.types import ModelFileError, Precision
from tests.inference.tiny_tokenizer import save_tiny_tokenizer

CONFIG = {
    "model_type": "llama",
    "vocab_size": 300,
    "max_position_embeddings": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "hidden_size": 32,
    "bos_token_id": 1,
    "eos_token_id": 0,
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-model"
    (path / "onnx").mkdir(parents=True)
    save_tiny_tokenizer(path / "tokenizer.json")
    write(path, "config.json", CONFIG)
    write(path, "generation_config.json", {"eos_token_id": [2, 0], "pad_token_id": 2})
    write(path, "tokenizer_config.json", {"chat_template": "{{ messages[0].content }}{{ eos_token }}"})
    add_graphs(path, "onnx/model.onnx")
    return path


def write(directory: Path, name: str, content: dict[str, Any]) -> None:
    (directory / name).write_text(json.dumps(content))


def add_graphs(directory: Path, *names: str) -> None:
    for name in names:
        (directory / name).write_bytes(b"")


def test_config_generation_config_and_tokenizer_config_are_read(directory: Path) -> None:
    model = ModelDirectory.open(directory)
    config = model.config
    assert (config.name, config.type, config.precision) == ("tiny-model", "llama", "float32")
    assert (config.vocab_size, config.context_length, config.num_layers, config.hidden_size) == (300, 64, 2, 32)
    assert (config.num_heads, config.num_kv_heads, config.head_size) == (4, 2, 16)
    assert (config.eos_token_id, config.eos_token_ids) == (2, frozenset({0, 2}))
    assert (config.bos_token_id, config.pad_token_id) == (1, 2)
    assert model.graph_path == directory / "onnx/model.onnx"
    assert model.template.render([{"role": "user", "content": "x"}]) == [Segment("x<|im_end|>", is_control=True)]


def test_older_names_and_defaults_of_sizes_are_understood(directory: Path) -> None:
    sizes = {"n_positions": 128, "n_layer": 3, "n_head": 4, "n_embd": 64, "num_key_value_heads": None}
    write(directory, "config.json", {"model_type": "gpt", "vocab_size": 300, "eos_token_id": 0, **sizes})
    (directory / "generation_config.json").unlink()
    config = ModelDirectory.open(directory).config
    assert (config.context_length, config.num_layers, config.hidden_size) == (128, 3, 64)
    assert (config.num_heads, config.num_kv_heads, config.head_size) == (4, 4, 16)
    assert (config.eos_token_id, config.bos_token_id) == (0, None)


@pytest.mark.parametrize(
    ("wanted", "names", "chosen"),
    [
        ("float32", ["model.onnx", "model_fp16.onnx"], "model.onnx"),
        ("float16", ["model.onnx", "model_fp16.onnx"], "model_fp16.onnx"),
        ("int8", ["model.onnx", "model_quantized.onnx"], "model_quantized.onnx"),
        ("int8", ["model_uint8.onnx", "model_quantized.onnx", "model_int8.onnx"], "model_int8.onnx"),
        ("int4", ["model_q4f16.onnx", "model_q4.onnx", "model_bnb4.onnx"], "model_q4.onnx"),
        ("int4", ["model.onnx", "model_q4f16.onnx"], "model_q4f16.onnx"),
        ("float32", ["decoder_model_merged.onnx"], "decoder_model_merged.onnx"),
        ("int8", ["model.onnx", "decoder_model_merged_quantized.onnx"], "decoder_model_merged_quantized.onnx"),
    ],
)  # fmt: skip
def test_the_graph_of_the_wanted_precision_is_taken(
    directory: Path, wanted: Precision, names: list[str], chosen: str
) -> None:
    (directory / "onnx/model.onnx").unlink()
    add_graphs(directory, *(f"onnx/{name}" for name in names), "onnx/vision_encoder.onnx", "onnx/model.onnx_data")
    model = ModelDirectory.open(directory, [wanted])
    assert (model.graph_path, model.config.precision) == (directory / "onnx" / chosen, wanted)


@pytest.mark.parametrize(
    ("is_cuda", "names", "chosen"),
    [
        (False, ["model.onnx", "model_fp16.onnx", "model_q4.onnx"], "int4"),
        (False, ["model.onnx", "model_fp16.onnx", "model_quantized.onnx"], "float32"),
        (False, ["model_fp16.onnx"], "float16"),
        (True, ["model.onnx", "model_fp16.onnx", "model_q4.onnx"], "float16"),
    ],
)
def test_without_a_wish_the_device_decides_among_what_is_there(
    directory: Path, is_cuda: bool, names: list[str], chosen: str
) -> None:
    (directory / "onnx/model.onnx").unlink()
    add_graphs(directory, *(f"onnx/{name}" for name in names))
    assert ModelDirectory.open(directory, precisions_for("auto", is_cuda=is_cuda)).config.precision == chosen


def test_graphs_may_lie_in_the_directory_itself(directory: Path) -> None:
    (directory / "onnx/model.onnx").rename(directory / "model.onnx")
    assert ModelDirectory.open(directory).graph_path == directory / "model.onnx"


def test_a_precision_that_is_not_there_is_refused_with_what_is(directory: Path) -> None:
    add_graphs(directory, "onnx/model_q4.onnx", "onnx/model_odd.onnx")
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory, ["float16"])
    there = "float32 (onnx/model.onnx), unknown (onnx/model_odd.onnx), int4 (onnx/model_q4.onnx)"
    assert str(caught.value) == f"{directory} has no float16 graph; it has {there}."


def test_a_directory_without_any_graph_is_refused(directory: Path) -> None:
    (directory / "onnx/model.onnx").unlink()
    with pytest.raises(ModelFileError, match=r"config\.json but no graph"):
        ModelDirectory.open(directory)


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("config.json", {"vocab_size": None}, "config.json: vocab_size is not a whole number"),
        ("config.json", {"num_hidden_layers": 0}, "config.json: num_hidden_layers is not a positive number"),
        ("config.json", {"model_type": 3}, "config.json: model_type is not a string"),
        ("generation_config.json", {"eos_token_id": [2, 300]}, "generation_config.json: eos_token_id is not a token"),
        ("generation_config.json", {"bos_token_id": -1}, "generation_config.json: bos_token_id is not a token"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(directory: Path, name: str, change: dict[str, Any], problem: str) -> None:
    write(directory, name, {**json.loads((directory / name).read_text()), **change})
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory)
    assert str(caught.value).startswith(f"{directory}/")
    assert problem in str(caught.value)
