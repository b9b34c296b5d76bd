"""The rotary positions of one model, read from its file. Knows the keys and tensors, not the mathematics."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.metadata import Metadata
from inference.gguf.rope import Float64, Rope, Yarn, plain, yarn, yarn_magnitude
from inference.gguf.shape import DecoderShape
from inference.gguf.tensors import Tensors
from inference.gguf.weights import read_float32
from inference.quoted import quoted
from inference.types import ModelFileError

SCALINGS = ("none", "linear", "yarn", "longrope")


@dataclass(frozen=True, slots=True)
class Ropes:
    """main: of all layers, or of those without a window where `local` is there for the others.

    long: instead of main where a sequence may get longer than `original_context` positions.
    """

    main: Rope
    local: Rope | None = None
    long: Rope | None = None
    original_context: int = 0


def read_ropes(metadata: Metadata, shape: DecoderShape, tensors: Tensors) -> Ropes:
    """Raises UnsupportedModelError for a scaling nobody knows and ModelFileError for numbers that cannot be."""
    name = metadata.architecture
    base, size = _base(metadata, f"{name}.rope.freq_base", 10000.0), shape.rotary_size
    trained = shape.trained_context
    original = metadata.count(f"{name}.rope.scaling.original_context_length", most=trained, default=trained)
    kind, factor = _scaling(metadata)
    magnitude = metadata.number(f"{name}.rope.scaling.attn_factor", 1.0)
    frequencies = plain(size, base) / factor
    if kind == "yarn":
        frequencies = yarn(size, base, factor, Yarn(original))
        magnitude *= yarn_magnitude(factor)
    if "rope_factors_long.weight" in tensors:
        short, long = (_factors(tensors, f"rope_factors_{kind}.weight") for kind in ("short", "long"))
        return Ropes(Rope(frequencies / short, magnitude), None, Rope(frequencies / long, magnitude), original)
    if "rope_freqs.weight" in tensors:
        frequencies = frequencies / _factors(tensors, "rope_freqs.weight")
    local_base, local = shape.family.local_rope_base, None
    if local_base is not None:
        local = Rope(plain(size, _base(metadata, f"{name}.rope.freq_base_swa", local_base)))
    return Ropes(Rope(frequencies, magnitude), local)


def _base(metadata: Metadata, key: str, default: float) -> float:
    base = metadata.number(key, default)
    if base <= 1.0:
        raise ModelFileError(f"The GGUF file's key {key} is {base}, not more than 1.")
    return base


def _scaling(metadata: Metadata) -> tuple[str, float]:
    """The kind of scaling and its factor; a factor without a kind is linear."""
    prefix = f"{metadata.architecture}.rope"
    factor = metadata.number(f"{prefix}.scaling.factor", 0.0) or metadata.number(f"{prefix}.scale_linear", 0.0) or 1.0
    kind = metadata.get(f"{prefix}.scaling.type", str) or "linear"
    if kind not in SCALINGS:
        raise UnsupportedModelError(
            f"Rope scaling ({quoted(kind)}) is not supported; supported are: {', '.join(SCALINGS)}."
        )
    return kind, 1.0 if kind == "none" else factor


def _factors(tensors: Tensors, name: str) -> Float64:
    if name not in tensors:
        raise ModelFileError(f"The GGUF file lacks the tensor {name}.")
    factors = read_float32(tensors[name]).astype(np.float64)
    if not (np.isfinite(factors).all() and (factors > 0).all()):
        raise ModelFileError(f"The tensor {name} holds numbers that are no factors.")
    return factors
