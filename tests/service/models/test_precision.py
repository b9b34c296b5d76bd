"""A precision that is asked for is that of the graph that runs, or it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import onnx
import pytest
from onnx import TensorProto

from common.settings import SettingsError, load_settings
from inference.types import ModelFileError, Precision
from service.models.loading import LoadedModel, prepare_model
from service.models.spec import specs_of
from tests.inference.gguf.tiny_models import of_type, write_model
from tests.inference.onnx.directories import save_genai, save_optimum
from tests.inference.onnx.tiny_graph import Form

FLOATS = {TensorProto.FLOAT: "float32", TensorProto.FLOAT16: "float16"}


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf", of_type("Q4_0"))


def load(path: Path, **variables: str) -> LoadedModel:
    """The model that was loaded, and closed again. variables: settings, without their prefix and in lower case."""
    given = {"model": str(path), "context": "60", "slots": "2", "provider": "cpu", "kernels": "off"} | variables
    named = {f"ANSWERD_{name.upper()}": text for name, text in given.items()}
    settings = load_settings([], {"ANSWERD_CACHE_DIR": str(path.parent / "cache"), **named})
    loaded = prepare_model(specs_of(settings)[0], settings, lambda what: lambda share: None).load()
    loaded.runner.close()
    return loaded


def weights_of(model: LoadedModel) -> str:
    """The precision of the weights that the graph multiplies with."""
    graph = onnx.load(model.directory.graph_path, load_external_data=False).graph
    stored = {tensor.name: FLOATS.get(tensor.data_type) for tensor in graph.initializer}
    kinds = {stored[name] for node in graph.node if node.op_type == "Gemm" for name in node.input if name in stored}
    for node in graph.node:
        if node.op_type == "MatMulNBits":
            kinds |= {f"int{attribute.i}" for attribute in node.attribute if attribute.name == "bits"}
    (kind,) = kinds
    return str(kind)


@pytest.mark.parametrize("precision", get_args(Precision))
def test_a_gguf_file_is_converted_to_the_precision_of_the_setting(gguf: Path, precision: Precision) -> None:
    loaded = load(gguf, precision=precision)
    assert loaded.directory.config.precision == precision
    assert weights_of(loaded) == precision


@pytest.mark.parametrize("precision", get_args(Precision))
def test_a_model_of_the_models_file_has_the_precision_of_its_own_table(gguf: Path, precision: Precision) -> None:
    file = gguf.with_suffix(".toml")
    file.write_text(f'[models.tiny]\nsource = "{gguf}"\nprecision = "{precision}"\n')
    other = "int8" if precision == "float32" else "float32"
    loaded = load(gguf, model="", models_file=str(file), precision=other)
    assert loaded.directory.config.precision == precision


@pytest.mark.parametrize("wrong", ["int3", "fp16", "INT4", "4"])
def test_another_precision_is_refused_by_name(gguf: Path, wrong: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(gguf, precision=wrong)
    assert str(caught.value) == (
        f"ANSWERD_PRECISION is {wrong!r}, but must be one of auto, int4, int8, float16, float32."
    )


def test_a_directory_of_others_that_does_not_say_its_precision_is_served_under_auto_alone(tmp_path: Path) -> None:
    directory = tmp_path / "tiny"
    directory.mkdir()
    save_genai(directory, Form("int4", position_ids=False))
    assert load(directory).directory.config.precision == ""
    for precision in get_args(Precision):
        with pytest.raises(ModelFileError) as caught:
            load(directory, precision=precision)
        assert str(caught.value) == (
            f"{directory} does not say which precision its graph has, so {precision} cannot be promised: with the"
            " precision auto it is served as it is."
        )


@pytest.mark.parametrize("name", ["cpu-int4-rtn-block-32", "int4/tiny", "fp16/cpu-int4"])
def test_a_directory_of_others_has_the_precision_that_it_is_called_after(tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir(parents=True)
    save_genai(directory, Form("int4", position_ids=False))
    load(directory, precision="int4")
    for precision in ("int8", "float16", "float32"):
        with pytest.raises(ModelFileError) as caught:
            load(directory, precision=precision)
        assert str(caught.value) == f"The graph in {directory} is int4, not {precision}."


CACHES = {"float16": Form("float16", position_ids=False), "float32": Form(), "int4": Form("int4", position_ids=False)}


def test_a_cache_is_counted_by_what_the_graph_keeps_in_it(tmp_path: Path) -> None:
    """Two bytes a number in half precision, four otherwise; genai_config.json says neither."""
    needs = {}
    for name, form in CACHES.items():
        for slots in (1, 101):
            directory = tmp_path / f"{name} {slots}"
            directory.mkdir()
            save_genai(directory, form)
            needs[name, slots] = prepared_needs(directory, slots)
    grown = {name: needs[name, 101] - needs[name, 1] for name in CACHES}
    assert grown["float32"] == grown["int4"] == 2 * grown["float16"] > 0


def test_a_cache_in_half_precision_beside_weights_of_four_bits_counts_half(tmp_path: Path) -> None:
    """As in onnx-community's q4f16."""
    grown = []
    for form in (Form("float16", appends=True), Form("float32", appends=True)):
        directory = tmp_path / form.precision
        save_optimum(directory, {"onnx/model_q4f16.onnx": form})
        few, many = (prepared_needs(directory, slots) for slots in (1, 101))
        grown.append(many - few)
    assert grown[1] == 2 * grown[0] > 0


def prepared_needs(directory: Path, slots: int) -> int:
    given = {"model": directory, "cache_dir": directory.parent / "cache", "context": 60, "slots": slots}
    settings = load_settings([], {f"ANSWERD_{name.upper()}": str(value) for name, value in given.items()})
    return prepare_model(specs_of(settings)[0], settings, lambda what: lambda share: None, lambda: 2**40).needs
