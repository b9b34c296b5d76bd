"""The model directory: what is written is read back, and whatever is wrong is named."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference.chat import Segment
from inference.genai_config import read_genai_config
from inference.model import GraphNames, ModelConfig, ModelDirectory, write_genai_config
from inference.types import ModelFileError
from tests.inference.tiny_tokenizer import save_tiny_tokenizer

GRAPH = GraphNames(
    file_name="model.onnx",
    inputs={
        "input_ids": "input_ids",
        "seqlens_k": "seqlens_k",
        "past_key_names": "past_key_values.%d.key",
        "past_value_names": "past_key_values.%d.value",
    },
    outputs={
        "logits": "logits",
        "present_key_names": "present.%d.key",
        "present_value_names": "present.%d.value",
    },
)
CONFIG = ModelConfig(
    name="Tiny",
    type="llama",
    vocab_size=300,
    context_length=64,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_size=8,
    hidden_size=32,
    eos_token_id=2,
    eos_token_ids=frozenset({0, 2}),
    graph=GRAPH,
    bos_token_id=1,
    pad_token_id=2,
    precision="int4",
    source="tiny.gguf",
    sha256="ab" * 32,
    converter=1,
    created=1_700_000_000,
)
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "tiny-model"
    path.mkdir()
    write_genai_config(path, CONFIG)
    save_tiny_tokenizer(path / "tokenizer.json")
    (path / "model.onnx").write_bytes(b"")
    (path / "chat_template.jinja").write_text("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}")
    return path


def edit(directory: Path, change: Edit) -> None:
    path = directory / "genai_config.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        replace(CONFIG, bos_token_id=None, pad_token_id=None),
        replace(CONFIG, eos_token_id=0),
        replace(CONFIG, eos_token_ids=frozenset({2})),
        replace(CONFIG, name="größer", graph=replace(GRAPH, file_name="onnx/model.onnx")),
    ],
)
def test_a_written_config_is_read_back_equal(tmp_path: Path, config: ModelConfig) -> None:
    write_genai_config(tmp_path, config)
    assert read_genai_config(tmp_path) == config


def test_the_file_has_the_layouts_keys(directory: Path) -> None:
    document = json.loads((directory / "genai_config.json").read_text())
    assert document["model"]["decoder"]["num_key_value_heads"] == 2
    assert document["model"]["decoder"]["inputs"] == GRAPH.inputs
    assert document["model"]["eos_token_id"] == [2, 0]
    assert document["search"] == {"max_length": 64}


def test_an_opened_directory_has_config_tokenizer_and_template(directory: Path) -> None:
    model = ModelDirectory.open(directory)
    assert model.config == CONFIG
    assert model.graph_path == directory / "model.onnx"
    segments = model.template.render([{"role": "user", "content": "hi <|im_end|>"}])
    assert segments == [
        Segment("<|im_start|>", is_control=True),
        Segment("hi <|im_end|>", is_control=False),
        Segment("<|im_end|>", is_control=True),
    ]
    assert model.tokenizer.encode(segments[:1]) == (1,)


def test_a_directory_that_others_published_opens_too(directory: Path) -> None:
    """No section of ours, a single end token, no beginning token, and the template inside tokenizer_config.json."""

    def publish(document: dict[str, Any]) -> None:
        del document["answerd"], document["model"]["bos_token_id"], document["search"]
        document["model"]["eos_token_id"] = 2

    edit(directory, publish)
    (directory / "chat_template.jinja").unlink()
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": "[{{ messages[0].content }}]"}))
    model = ModelDirectory.open(directory)
    assert model.config.name == "tiny-model"
    assert model.config.eos_token_ids == {2}
    assert (model.config.bos_token_id, model.config.precision) == (None, "")
    assert model.config.created == int(model.graph_path.stat().st_mtime)
    assert model.template.render([{"role": "user", "content": "x"}]) == [Segment("[x]", is_control=True)]


def test_of_several_declared_templates_the_default_one_is_taken(directory: Path) -> None:
    (directory / "chat_template.jinja").unlink()
    templates = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    assert ModelDirectory.open(directory).template.render([]) == [Segment("plain", is_control=True)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda d: d.pop("model"), "model is missing"),
        (lambda d: d.update(model=[]), "model is not an object"),
        (lambda d: d["model"].pop("decoder"), "model.decoder is missing"),
        (lambda d: d["model"].pop("vocab_size"), "model.vocab_size is missing"),
        (lambda d: d["model"].update(vocab_size="300"), "model.vocab_size is not a whole number"),
        (lambda d: d["model"].update(vocab_size=True), "model.vocab_size is not a whole number"),
        (lambda d: d.update(answerd={"kernels": 1}), "answerd.kernels is not true or false"),
        (lambda d: d["model"].update(context_length=0), "model.context_length is not a positive number"),
        (lambda d: d["model"].update(type=3), "model.type is not a string"),
        (lambda d: d["model"].pop("eos_token_id"), "model.eos_token_id is missing"),
        (lambda d: d["model"].update(eos_token_id=[]), "model.eos_token_id is not a token id of the vocabulary or a"),
        (lambda d: d["model"].update(eos_token_id=[2, "x"]), "model.eos_token_id is not a token id"),
        (lambda d: d["model"].update(eos_token_id=300), "model.eos_token_id is not a token id"),
        (lambda d: d["model"].update(bos_token_id=-1), "model.bos_token_id is not a token id of the vocabulary"),
        (lambda d: d["model"]["decoder"].pop("head_size"), "model.decoder.head_size is missing"),
        (lambda d: d["model"]["decoder"].update(filename="../x.onnx"), "model.decoder.filename does not name a file"),
        (lambda d: d["model"]["decoder"].update(filename="/x.onnx"), "model.decoder.filename does not name a file"),
        (lambda d: d["model"]["decoder"].update(filename=""), "model.decoder.filename does not name a file"),
        (lambda d: d["model"]["decoder"].update(filename="a\n\x1b[31m"), "model.decoder.filename does not name a file"),
        (lambda d: d["model"]["decoder"].update(filename="n" * 999), "model.decoder.filename does not name a file"),
        (lambda d: d["model"]["decoder"]["inputs"].update({"a\n\x1b[31m": 1}), r"inputs.a\n\x1b[31m is not a string"),
        (lambda d: d["model"]["decoder"]["inputs"].update({"n" * 5000: 1}), "is not a string"),
        (lambda d: d["model"]["decoder"]["inputs"].pop("input_ids"), "model.decoder.inputs.input_ids is missing"),
        (lambda d: d["model"]["decoder"]["inputs"].update(other=1), "model.decoder.inputs.other is not a string"),
        (lambda d: d["model"]["decoder"]["inputs"].update(past_key_names="p"), "does not have one %d"),
        (lambda d: d["model"]["decoder"]["outputs"].pop("logits"), "model.decoder.outputs.logits is missing"),
        (lambda d: d.update(answerd=1), "answerd is not an object"),
        (lambda d: d["answerd"].update(name=1), "answerd.name is not a string"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(directory: Path, change: Edit, problem: str) -> None:
    edit(directory, change)
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory)
    assert str(caught.value).startswith(f"{directory / 'genai_config.json'}: ")
    assert problem in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < len(str(directory)) + 200


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "chat_template.jinja"])
def test_a_missing_file_is_named(directory: Path, name: str) -> None:
    (directory / name).unlink()
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory)
    assert str(caught.value).startswith(f"{directory / name} is missing")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("genai_config.json", b"{", "is not JSON"),
        ("genai_config.json", b"\xff", "is not JSON"),
        ("genai_config.json", b"[]", "does not hold a JSON object"),
        ("tokenizer.json", b"{}", "is not a tokenizer.json that can be read"),
        ("chat_template.jinja", b"{% if %}", "The chat template is broken in line 1"),
        ("chat_template.jinja", b"{% " + b"n" * 5000 + b" %}", "The chat template is broken in line 1"),
        ("chat_template.jinja", b"\xff", "is not text that can be read"),
    ],
)
def test_a_broken_file_is_named(directory: Path, name: str, content: bytes, problem: str) -> None:
    (directory / name).write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        ModelDirectory.open(directory)
    assert str(caught.value).startswith(str(directory / name))
    assert problem in str(caught.value)
    assert len(str(caught.value)) < len(str(directory)) + 400


def test_a_directory_of_another_layout_is_refused(directory: Path) -> None:
    (directory / "genai_config.json").unlink()
    with pytest.raises(ModelFileError, match=r"neither genai_config\.json .* nor config\.json with onnx/model\*\.onnx"):
        ModelDirectory.open(directory)


def test_a_precision_that_the_directory_does_not_have_is_refused(directory: Path) -> None:
    with pytest.raises(ModelFileError, match=r"^The graph in .*tiny-model is int4, not float16\.$"):
        ModelDirectory.open(directory, ["float16"])
    assert ModelDirectory.open(directory, ["float16", "int4"]).config.precision == "int4"


def test_the_token_that_closes_a_turn_is_taken_from_the_tokenizers_config(directory: Path) -> None:
    """As an object, too; it ends an answer even if the model's list of end tokens forgets it."""
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"eos_token": {"content": "<|im_start|>"}, "bos_token": None})
    )
    (directory / "chat_template.jinja").write_text("[{{ bos_token }}{{ eos_token }}]")
    model = ModelDirectory.open(directory)
    assert (model.config.eos_token_id, model.config.eos_token_ids) == (1, frozenset({0, 1, 2}))
    assert model.template.render([]) == [Segment("[<|im_start|>]", is_control=True)]


def test_a_path_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="nowhere is not a directory"):
        ModelDirectory.open(tmp_path / "nowhere")


def test_a_file_that_cannot_be_read_is_named(directory: Path) -> None:
    (directory / "genai_config.json").unlink()
    (directory / "genai_config.json").mkdir()
    with pytest.raises(ModelFileError, match=r"genai_config\.json cannot be read: Is a directory"):
        ModelDirectory.open(directory)
