"""Hypothesis strategies that damage an ONNX graph where it is still a graph: sizes, types, attributes, wiring."""

from __future__ import annotations

from typing import Any

import onnx
from hypothesis import strategies as st

NUMBERS = (0, 1, -1, 2, 3, 7, -5, 65536, 10**6, 2**31, 2**40, 2**63 - 1, -(2**63))
OPERATORS = ("Loop", "If", "Scan", "Range", "ConstantOfShape", "Expand", "Tile", "Pad", "Resize", "GatherND", "Reshape")
LOCATIONS = ("../other", "/etc/passwd", "absent", "model.onnx", "genai_config.json", "")


@st.composite
def damaged_graphs(draw: st.DrawFn, content: bytes) -> bytes:
    """The graph with one to three damages."""
    model = onnx.load_from_string(content)
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from(_DAMAGES))(draw, model.graph)
    return bytes(model.SerializeToString())


def _index(draw: st.DrawFn, values: Any) -> int:
    return draw(st.integers(0, len(values) - 1))


def _size(draw: st.DrawFn, graph: Any) -> None:
    dims = draw(st.sampled_from(list(graph.initializer))).dims
    if dims:
        dims[_index(draw, dims)] = draw(st.sampled_from(NUMBERS))
    else:
        dims.append(draw(st.sampled_from(NUMBERS)))


def _attribute(draw: st.DrawFn, graph: Any) -> None:
    node = draw(st.sampled_from([node for node in graph.node if node.attribute]))
    attribute = draw(st.sampled_from(list(node.attribute)))
    if attribute.type == onnx.AttributeProto.INTS and attribute.ints:
        attribute.ints[_index(draw, attribute.ints)] = draw(st.sampled_from(NUMBERS))
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = draw(st.sampled_from([float("nan"), float("inf"), -1.0, 0.0]))
    else:
        attribute.i = draw(st.sampled_from(NUMBERS))


def _type(draw: st.DrawFn, graph: Any) -> None:
    draw(st.sampled_from(list(graph.initializer))).data_type = draw(st.integers(0, 23))


def _wire(draw: st.DrawFn, graph: Any) -> None:
    inputs = draw(st.sampled_from([node for node in graph.node if node.input])).input
    names = [tensor.name for tensor in graph.initializer] + [name for node in graph.node for name in node.output]
    inputs[_index(draw, inputs)] = draw(st.sampled_from(["", *names]))


def _operator(draw: st.DrawFn, graph: Any) -> None:
    known = sorted({node.op_type for node in graph.node})
    draw(st.sampled_from(list(graph.node))).op_type = draw(st.sampled_from([*known, *OPERATORS]))


def _content(draw: st.DrawFn, graph: Any) -> None:
    tensor = draw(st.sampled_from(list(graph.initializer)))
    length = len(tensor.raw_data)
    if draw(st.booleans()):
        tensor.raw_data = tensor.raw_data[: draw(st.integers(0, length))]
    else:
        number = draw(st.sampled_from(NUMBERS)).to_bytes(8, "little", signed=True)
        tensor.raw_data = (number * (length // 8 + 1))[:length]


def _elsewhere(draw: st.DrawFn, graph: Any) -> None:
    tensor = draw(st.sampled_from(list(graph.initializer)))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=draw(st.sampled_from(LOCATIONS)))
    for key in ("offset", "length"):
        tensor.external_data.add(key=key, value=str(draw(st.sampled_from(NUMBERS))))


def _missing(draw: st.DrawFn, graph: Any) -> None:
    values = draw(st.sampled_from([graph.node, graph.initializer, graph.input, graph.output]))
    if values:
        del values[_index(draw, values)]


_DAMAGES = (_size, _attribute, _type, _wire, _operator, _content, _elsewhere, _missing)
