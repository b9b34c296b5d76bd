"""A small ONNX graph builder: nodes, shared initializers, tensors kept in one external data file. Knows no model."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

ONNX_OPSET = 21
MICROSOFT = "com.microsoft"
ANSWERD = "answerd"  # the operators of inference/kernels
_ALIGNMENT = 4096


class _Place(NamedTuple):
    """Where numbers stand in the data file; `kind` is a TensorProto data type."""

    kind: int
    offset: int
    length: int


class Region:
    """Room for one tensor in the data file."""

    def __init__(self, file: IO[bytes], offset: int, dtype: np.dtype[Any], row_bytes: int) -> None:
        self._file = file
        self._offset = offset
        self._dtype = dtype
        self._row_bytes = row_bytes

    def write(self, row: int, values: npt.NDArray[Any]) -> None:
        """Put rows where row number `row` begins. Not through a memory map: a full disk would kill the process."""
        self._file.seek(self._offset + row * self._row_bytes)
        self._file.write(np.ascontiguousarray(values, self._dtype).data)


class GraphBuilder:
    """Collects the nodes of one graph; every node's outputs get names of their own.

    A context manager: it holds the data file open until `save`, or until an error leaves the block.
    """

    def __init__(self, name: str, data_path: Path, progress: Callable[[float], None] = lambda done: None) -> None:
        self._name = name
        self.report = progress
        self._data_path = data_path
        self._data = data_path.open("wb")
        self._data_end = 0
        self._places: dict[str, _Place] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._data.close()

    def input(self, name: str, dtype: int, shape: list[int | str]) -> str:
        """Declare a graph input."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: list[int | str]) -> str:
        """Declare a graph output."""
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Store a tensor in the external data file, so that the runtime can map it instead of copying it."""
        self.reserve(name, value.dtype, value.shape).write(0, value)
        return name

    def reserve(self, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> Region:
        """The place of a tensor in the external data file, to be filled some rows at a time."""
        offset, kind = -(-self._data_end // _ALIGNMENT) * _ALIGNMENT, np.dtype(dtype)
        region = Region(self._data, offset, kind, math.prod(shape[1:]) * kind.itemsize)
        self._data_end = offset + math.prod(shape) * kind.itemsize
        self._places[name] = _Place(helper.np_dtype_to_tensor_dtype(kind), offset, self._data_end - offset)
        self._refer(name, self._places[name], shape)
        return region

    def alias(self, name: str, stored: str, shape: tuple[int, ...]) -> str:
        """Another name and shape for numbers that the data file already has."""
        self._refer(name, self._places[stored], shape)
        return name

    def _refer(self, name: str, place: _Place, shape: tuple[int, ...]) -> None:
        tensor = TensorProto(name=name, data_type=place.kind, dims=shape, data_location=TensorProto.EXTERNAL)
        for key, text in (
            ("location", self._data_path.name),
            ("offset", str(place.offset)),
            ("length", str(place.length)),
        ):
            tensor.external_data.add(key=key, value=text)
        self._initializers.append(tensor)

    def small(self, name: str, value: npt.NDArray[Any]) -> str:
        """Store a few numbers inside the graph file: shapes must be visible to shape inference."""
        self._initializers.append(onnx.numpy_helper.from_array(value, name))
        return name

    def node(
        self, op: str, inputs: list[str], *, domain: str = "", outputs: list[str] | None = None, **attributes: Any
    ) -> str:
        """Add a node and give its first output's name."""
        if outputs is None:
            self._count += 1
            outputs = [f"{op}_{self._count}"]
        name = f"n{len(self._nodes)}_{op}"
        self._nodes.append(helper.make_node(op, inputs, outputs, name=name, domain=domain, **attributes))
        return outputs[0]

    def has(self, *ops: str) -> bool:
        """Whether there is a node of one of these types."""
        return any(node.op_type in ops for node in self._nodes)

    def rename(self, old: str, new: str) -> None:
        """Give the last node's output the name of a graph output."""
        outputs = self._nodes[-1].output
        outputs[list(outputs).index(old)] = new

    def save(self, path: Path) -> None:
        """Write the graph beside its data file."""
        self._data.close()
        read = {name for node in self._nodes for name in node.input}
        initializers = [tensor for tensor in self._initializers if tensor.name in read]
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, initializers)
        others = sorted({MICROSOFT, *(node.domain for node in self._nodes if node.domain)})
        opsets = [helper.make_opsetid("", ONNX_OPSET), *(helper.make_opsetid(domain, 1) for domain in others)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="answerd"), path)
