"""What the graph of one model is made from, for all who emit a part of it. Emits nothing."""

from __future__ import annotations

from dataclasses import dataclass

from inference.gguf.graph import GraphBuilder
from inference.gguf.linear import Layers
from inference.gguf.ropes import Ropes
from inference.gguf.shape import DecoderShape
from inference.gguf.tensors import Tensors


@dataclass(frozen=True)
class Blueprint:
    """graph: where nodes and weights go. layers: how weights become nodes, in one precision. tensors: the file's.
    kernels: whether operators of inference/kernels may be used."""

    graph: GraphBuilder
    layers: Layers
    shape: DecoderShape
    ropes: Ropes
    tensors: Tensors
    kernels: bool = False
