"""A graph is tried in another process first, so that whatever it does to ONNX Runtime is a sentence here."""

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from inference.model import ModelDirectory
from inference.onnx.provider import CPU, Provider
from inference.onnx.trial import ensure_tried, try_graph
from inference.types import ModelFileError
from tests.inference.onnx.directories import save_genai
from tests.inference.onnx.tiny_graph import Form

ON_CPU = Provider(CPU, "it is a test")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """The graph of a directory that works."""
    folder = tmp_path / "model"
    folder.mkdir()
    save_genai(folder, Form(appends=True))
    return folder / "model.onnx"


def attempt(graph: Path, **bounds: Any) -> None:
    try_graph(graph, ModelDirectory.open(graph.parent).config, ON_CPU, **bounds)


def changed(graph: Path, change: Callable[[Any], None]) -> None:
    model = onnx.load(str(graph))
    change(model.graph)
    graph.write_bytes(model.SerializeToString())


def prepend(graph: Any, *nodes: Any) -> None:
    """Puts nodes before the logits, which become the last one's output."""
    graph.node[-1].output[0] = "true logits"
    graph.node.extend(nodes)


def endless(graph: Any) -> None:
    """A loop of 2**62 rounds around the logits."""
    number, flag, go_on = (
        helper.make_tensor_value_info(name, kind, [])
        for name, kind in (("round", TensorProto.INT64), ("go", TensorProto.BOOL), ("go on", TensorProto.BOOL))
    )
    value, following = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("value", "next"))
    nodes = [helper.make_node("Identity", ["go"], ["go on"]), helper.make_node("Neg", ["value"], ["next"])]
    body = helper.make_graph(nodes, "body", [number, flag, value], [go_on, following])
    graph.initializer.append(helper.make_tensor("rounds", TensorProto.INT64, [], [2**62]))
    prepend(graph, helper.make_node("Loop", ["rounds", "", "true logits"], ["logits"], body=body))


def flooding(graph: Any) -> None:
    """A tensor of 400 GB on the way to the logits."""
    graph.initializer.append(helper.make_tensor("size", TensorProto.INT64, [1], [10**11]))
    zeros = helper.make_node("ConstantOfShape", ["size"], ["zeros"])
    total = helper.make_node("ReduceSum", ["zeros"], ["zero"], keepdims=0)
    prepend(graph, zeros, total, helper.make_node("Add", ["true logits", "zero"], ["logits"]))


def aborting(graph: Any) -> None:
    """One output fewer than the node has names for, which ONNX Runtime 1.31 asserts against."""
    split = next(node for node in graph.node if node.op_type == "Split")
    next(attribute for attribute in split.attribute if attribute.name == "num_outputs").i = 1


def test_a_graph_that_works_passes_and_is_tried_once(graph: Path, tmp_path: Path) -> None:
    config = ModelDirectory.open(graph.parent).config
    assert ensure_tried(graph, config, ON_CPU, tmp_path / "cache") == 4, "bytes of a number of the cache"
    times = graph.stat().st_atime_ns, graph.stat().st_mtime_ns
    content = graph.read_bytes()
    graph.write_bytes(b"x" * len(content))
    os.utime(graph, ns=times)
    assert ensure_tried(graph, config, ON_CPU, tmp_path / "cache") == 4
    graph.write_bytes(b"x" * len(content))
    with pytest.raises(ModelFileError):
        ensure_tried(graph, config, ON_CPU, tmp_path / "cache")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (endless, "does not load and run within 4 seconds"),
        (flooding, "cannot be run"),
        (aborting, "crash|cannot be run"),
    ],
    ids=["endless", "flooding", "aborting"],
)
def test_what_a_graph_does_to_the_runtime_is_one_sentence(
    graph: Path, change: Callable[[Any], None], sentence: str
) -> None:
    changed(graph, change)
    with pytest.raises(ModelFileError, match=rf"^{graph} .*({sentence})"):
        attempt(graph, seconds=4 if change is endless else None)


@pytest.mark.parametrize(
    ("location", "offset", "length"),
    [("../secret", 0, 38400), ("/etc/passwd", 0, 38400), ("absent", 0, 38400), ("data", -1, 38400), ("data", 0, 2**40),
     ("data", 2**62, 38400), ("data", 0, 12), ("data", 8, 38400)],
)  # fmt: skip
def test_weights_that_lie_elsewhere_or_are_not_there_are_refused(
    graph: Path, location: str, offset: int, length: int
) -> None:
    def move(model: Any) -> None:
        weight = next(tensor for tensor in model.initializer if tensor.name == "embedding")
        for name in ("data", "../secret"):
            (graph.parent / name).write_bytes(weight.raw_data)
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", str(offset)), ("length", str(length))):
            weight.external_data.add(key=key, value=value)

    changed(graph, move)
    with pytest.raises(ModelFileError, match=f"^{graph} cannot be run: .*embedding"):
        attempt(graph)


def test_a_graph_that_is_no_decoder_is_refused(graph: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    add = helper.make_node("Add", ["x", "x"], ["y"])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    opsets = [helper.make_opsetid("", 20)]
    double = helper.make_graph([add], "double", [value], [output])
    model = helper.make_model(double, ir_version=10, opset_imports=opsets)
    graph.write_bytes(model.SerializeToString())
    with pytest.raises(ModelFileError, match=f"^{graph}: The graph has the input 'x', which is not supported"):
        attempt(graph)


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 1000, b"\x0a\xff\xff\xff\xff\x0f", random.Random(0).randbytes(5000)]
)
def test_a_file_that_is_no_graph_is_refused(graph: Path, content: bytes) -> None:
    graph.write_bytes(content)
    with pytest.raises(ModelFileError, match=f"^{graph}"):
        attempt(graph)
