"""What a decoder graph declares: its inputs by their role, its cache, its logits. Knows how exporters name them.

A name comes from the directory's own list where there is one (genai_config.json), else it is one of the usual ones.
Nothing here runs the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort

from inference.genai_config import GraphNames, ModelConfig
from inference.quoted import quoted
from inference.types import ModelFileError

# What the runner can fill, each with the names that it has in published graphs.
ROLES: Mapping[str, tuple[str, ...]] = {
    "input_ids": ("input_ids",),
    "attention_mask": ("attention_mask",),
    "position_ids": ("position_ids",),
    "seqlens_k": ("seqlens_k",),
    "total_sequence_length": ("total_sequence_length", "total_seq_len"),
    "logits_rows": ("logits_rows",),
    "num_logits_to_keep": ("num_logits_to_keep", "logits_to_keep"),
    "use_cache_branch": ("use_cache_branch",),
}
_TYPES = {
    f"tensor({name})": np.dtype(dtype)
    for name, dtype in {
        "float": np.float32, "float16": np.float16, "int64": np.int64, "int32": np.int32, "bool": np.bool_,
    }.items()
}  # fmt: skip
_KINDS = ("key", "value")
_FLOATS = (np.float32, np.float16)


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output; a dimension is a number where it is fixed, else its name or None."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str | None, ...]

    def size(self, axis: int, default: int) -> int:
        """The fixed size of an axis, or the default."""
        size = self.shape[axis]
        return size if isinstance(size, int) else default


@dataclass(frozen=True, slots=True)
class CachePair:
    """Keys or values of one layer: [batch, kv_heads, positions, head_size]."""

    past: Tensor
    present: Tensor


@dataclass(frozen=True)
class DeclaredGraph:
    """The declared tensors. inputs: by role, only those that the graph has. cache: layer by layer, keys then values.

    logits: [rows, vocabulary] for the rows named in `logits_rows`, or [batch, sequence, vocabulary]. best: the largest
    logits of each row and their ids, [rows, how many], where the graph computes them.
    """

    inputs: Mapping[str, Tensor]
    cache: tuple[CachePair, ...]
    logits: Tensor
    kv_heads: int
    head_size: int
    vocab_size: int
    best: tuple[Tensor, Tensor] | None = None

    @property
    def cache_dtype(self) -> np.dtype[Any]:
        return self.cache[0].past.dtype

    @property
    def chooses_rows(self) -> bool:
        """Whether the caller names the rows that get logits."""
        return "logits_rows" in self.inputs

    @property
    def best_count(self) -> int:
        """How many of the largest logits of a row are an output of their own; 0: none."""
        return self.best[0].size(-1, 0) if self.best else 0

    @property
    def has_fixed_shapes(self) -> bool:
        """Whether decode calls over the same slots have the same shapes, however long their sequences are."""
        return self.chooses_rows and "seqlens_k" in self.inputs and "attention_mask" not in self.inputs

    @property
    def takes_one_row(self) -> bool:
        """Whether every call is for one sequence only."""
        return self.inputs["input_ids"].shape[0] == 1


def declared_graph(session: ort.InferenceSession, config: ModelConfig) -> DeclaredGraph:
    """Reads the session's inputs and outputs. Raises ModelFileError, which names what is missing or not known."""
    reader = _Reader(session, config.graph)
    cache = reader.cache()
    for past in (pair.past for pair in cache):
        if past.dtype not in _FLOATS or past.shape[1::2] != cache[0].past.shape[1::2]:
            raise ModelFileError(
                f"The cache input {quoted(past.name)} is neither float32 nor float16, or unlike the others."
            )
    logits = reader.output("logits")
    rank = 2 if "logits_rows" in reader.roles else 3
    if logits is None or logits.dtype not in _FLOATS or len(logits.shape) != rank:
        raise ModelFileError("The graph has no output logits of [batch, sequence, vocabulary].")
    return DeclaredGraph(
        inputs=reader.roles,
        cache=cache,
        logits=logits,
        kv_heads=cache[0].past.size(1, config.num_kv_heads),
        head_size=cache[0].past.size(3, config.head_size),
        vocab_size=logits.size(-1, config.vocab_size),
        best=reader.best(),
    )


class _Reader:
    """Sorts the inputs and outputs of a session."""

    def __init__(self, session: ort.InferenceSession, names: GraphNames) -> None:
        self._names = names
        self._outputs = {tensor.name: tensor for tensor in _tensors(session.get_outputs())}
        known = {name: role for role, usual in ROLES.items() for name in usual}
        known |= {names.inputs[role]: role for role in ROLES if role in names.inputs}
        self.roles: dict[str, Tensor] = {}
        self._past: dict[tuple[int, str], Tensor] = {}
        for tensor in _tensors(session.get_inputs()):
            place = self._place(tensor.name, "past", names.inputs)
            if tensor.name in known:
                self.roles[known[tensor.name]] = tensor
            elif place and len(tensor.shape) == 4:
                self._past[place] = tensor
            else:
                raise ModelFileError(
                    f"The graph has the input {quoted(tensor.name)}, which is not supported; supported are"
                    f" {', '.join(ROLES)} and a cache of keys and values for each layer."
                )
        if "input_ids" not in self.roles:
            raise ModelFileError("The graph has no input input_ids.")

    def output(self, role: str) -> Tensor | None:
        return self._outputs.get(self._names.outputs.get(role, role))

    def best(self) -> tuple[Tensor, Tensor] | None:
        logits, ids = self.output("top_logits"), self.output("top_ids")
        if logits is None or ids is None or "logits_rows" not in self.roles:
            return None
        return logits, ids

    def cache(self) -> tuple[CachePair, ...]:
        present = {
            place: tensor
            for tensor in self._outputs.values()
            if (place := self._place(tensor.name, "present", self._names.outputs))
        }
        layers = sorted({layer for layer, _ in self._past})
        places = [(layer, kind) for layer in layers for kind in _KINDS]
        missing = [place for place in places if place not in self._past or place not in present]
        if missing or not places:
            what = f"the {missing[0][1]}s of layer {missing[0][0]}" if missing else "keys and values"
            raise ModelFileError(
                f"The graph lacks a cache for {what}: an input past_key_values.N and an output present.N."
            )
        return tuple(CachePair(self._past[place], present[place]) for place in places)

    @staticmethod
    def _place(name: str, time: str, names: Mapping[str, str]) -> tuple[int, str] | None:
        """The layer and kind of a cache tensor, by the directory's own pattern or else by its words."""
        for kind in _KINDS:
            own = names.get(f"{time}_{kind}_names")
            pattern = re.escape(own).replace("%d", r"(\d+)") if own else rf"{time}\D*(\d+)\D*{kind}"
            if match := re.fullmatch(pattern, name):
                return int(match[1]), kind
        return None


def _tensors(nodes: Iterable[Any]) -> list[Tensor]:
    tensors = []
    for node in nodes:
        if node.type not in _TYPES:
            raise ModelFileError(
                f"The graph's {quoted(node.name)} is a {node.type}; supported are {', '.join(_TYPES)}."
            )
        tensors.append(Tensor(node.name, _TYPES[node.type], tuple(node.shape)))
    return tensors
