"""Which tensors a decoder consists of, and whether a file has exactly these. Knows shapes, not numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from inference.gguf.block_types import SUPPORTED_TYPES
from inference.gguf.errors import UnsupportedModelError
from inference.gguf.reader import type_name, unsupported_type
from inference.gguf.shape import DecoderShape
from inference.quoted import quoted
from inference.types import ModelFileError

EMBEDDING = "token_embd.weight"
HEAD = "output.weight"
ROPE_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")

# Written by some converters and never read by anybody: the frequencies follow from the rotary base.
_IGNORED = (".attn_rot_embd.weight", ".attention.rotary_emb.inv_freq", "rope_freqs.inv_freq")

# Matrices over the same inputs, which become one.
_TOGETHER = (("attn_q", "attn_k", "attn_v"), ("ffn_gate", "ffn_up"))

Tensors = Mapping[str, Any]
Dimensions = tuple[int, ...]


def vocabulary_of(tensors: Tensors) -> int:
    """Rows of the embedding. Raises ModelFileError if there is none."""
    embedding = tensors.get(EMBEDDING)
    if embedding is None or len(embedding.shape) != 2:
        raise ModelFileError(f"The GGUF file lacks the tensor {EMBEDDING}.")
    return int(embedding.shape[1])


def check_tensors(shape: DecoderShape, tensors: Tensors) -> None:
    """Raises ModelFileError for a tensor that is missing or misshapen, UnsupportedModelError for one nobody knows."""
    needed = dict(_needed(shape, tensors))
    allowed = needed | dict(_optional(shape, needed))
    for name, tensor in tensors.items():
        if name.endswith(_IGNORED):
            continue
        if name not in allowed:
            raise UnsupportedModelError(f"The tensor {quoted(name)} is not supported in this architecture.")
        if type_name(tensor) not in SUPPORTED_TYPES:
            raise unsupported_type(name, type_name(tensor))
        found = tuple(int(size) for size in reversed(tensor.shape))
        if found != allowed[name]:
            raise ModelFileError(f"The tensor {name} has the shape {found}, not {allowed[name]}.")
    for name in needed:
        if name not in tensors:
            raise ModelFileError(f"The GGUF file lacks the tensor {name}.")
    for layer in range(shape.layers):
        for together in _TOGETHER:
            _check_biases(
                [f"blk.{layer}.{part}" for part in together if f"blk.{layer}.{part}.weight" in needed], tensors
            )


def _check_biases(parts: list[str], tensors: Tensors) -> None:
    if len({f"{part}.bias" in tensors for part in parts}) > 1:
        raise UnsupportedModelError(f"Only some of {', '.join(parts)} have a bias, which is not supported.")


def _needed(shape: DecoderShape, tensors: Tensors) -> Iterator[tuple[str, Dimensions]]:
    yield EMBEDDING, (shape.vocabulary, shape.hidden)
    yield "output_norm.weight", (shape.hidden,)
    for layer in range(shape.layers):
        for part, dimensions in _layer(shape, f"blk.{layer}", tensors):
            yield f"blk.{layer}.{part}.weight", dimensions


def _layer(shape: DecoderShape, block: str, tensors: Tensors) -> Iterator[tuple[str, Dimensions]]:
    family, hidden, inner = shape.family, shape.hidden, shape.feed_forward
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    for norm in ("attn_norm", "ffn_norm", *(("post_attention_norm", "post_ffw_norm") if family.post_norms else ())):
        yield norm, (hidden,)
    if family.qk_norm:
        yield "attn_q_norm", (shape.head_size,)
        yield "attn_k_norm", (shape.head_size,)
    if family.fused and f"{block}.attn_qkv.weight" in tensors:
        yield "attn_qkv", (queries + 2 * keys, hidden)
    else:
        yield from (("attn_q", (queries, hidden)), ("attn_k", (keys, hidden)), ("attn_v", (keys, hidden)))
    yield "attn_output", (hidden, queries)
    if family.fused and f"{block}.ffn_gate.weight" not in tensors:
        yield "ffn_up", (2 * inner, hidden)
    else:
        yield from (("ffn_gate", (inner, hidden)), ("ffn_up", (inner, hidden)))
    yield "ffn_down", (hidden, inner)


def _optional(shape: DecoderShape, needed: Mapping[str, Dimensions]) -> Iterator[tuple[str, Dimensions]]:
    """An own head, biases of the linear layers, and factors of the rotary frequencies."""
    yield HEAD, (shape.vocabulary, shape.hidden)
    for name, dimensions in needed.items():
        if len(dimensions) == 2 and name != EMBEDDING:
            yield name.replace(".weight", ".bias"), dimensions[:1]
    for name in ROPE_FACTORS:
        yield name, (shape.rotary_pairs,)
