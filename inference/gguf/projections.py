"""Linear layers by the names that their tensors have in the file, biases included. Knows no precision."""

from __future__ import annotations

from collections.abc import Sequence

from inference.gguf.linear import Layers
from inference.gguf.tensors import Tensors


class Projections:
    """Emits linear layers; several tensors over the same inputs become one."""

    def __init__(self, layers: Layers, tensors: Tensors) -> None:
        self._layers = layers
        self._tensors = tensors

    def emit(self, name: str, x: str, parts: Sequence[str]) -> str:
        """`x` times the weights of `parts`, stacked, plus their biases where the file has them: of all or of none."""
        biases = [self._tensors[f"{part}.bias"] for part in parts if f"{part}.bias" in self._tensors]
        assert len(biases) in (0, len(parts))
        return self._layers.linear(name, x, [self._tensors[f"{part}.weight"] for part in parts], biases)
