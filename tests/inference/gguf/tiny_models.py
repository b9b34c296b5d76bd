"""Small random models as GGUF files, one for each thing in which families and types differ.

Made from a seed with the `gguf` package's own writer: the tests write the same bytes that golden/make_families.py gave
to llama.cpp.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType
from numpy.typing import NDArray
from tokenizers.pre_tokenizers import ByteLevel

VOCABULARY = 288
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
Values = NDArray[np.float32]


@dataclass(frozen=True)
class TinyModel:
    """One case. keys: under the architecture's name, instead of or beside the usual ones; None leaves one out.

    fused, biases, qk_norm, post_norms: which tensors there are. vectors: further ones by name.
    """

    architecture: str
    keys: Mapping[str, Any] = field(default_factory=dict)
    layers: int = 2
    hidden: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 32
    inner: int = 128
    tied: bool = False
    fused: bool = False
    biases: tuple[str, ...] = ()
    qk_norm: bool = False
    post_norms: bool = False
    vectors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    type: str = "F32"
    room: int | None = None  # positions of the cache; else as many as there are tokens


_FACTORS = tuple(1.0 + 0.25 * pair for pair in range(16))
_LONG = {
    "rope_factors_long.weight": _FACTORS,
    "rope_factors_short.weight": tuple(1.0 + 0.01 * pair for pair in range(16)),
}
_LONG_KEYS = {
    "context_length": 512,
    "rope.scaling.original_context_length": 256,
    "rope.scaling.attn_factor": 1.19,
}
_YARN = {
    "rope.scaling.type": "yarn",
    "rope.scaling.factor": 4.0,
    "rope.scaling.original_context_length": 64,
    "rope.freq_base": 5000.0,
}
_GEMMA: dict[str, Any] = {"tied": True, "post_norms": True}


def _gemma3(pattern: int | tuple[bool, ...]) -> TinyModel:
    keys = {"attention.sliding_window": 8, "attention.sliding_window_pattern": pattern, "rope.freq_base": 1e6}
    return TinyModel("gemma3", keys, layers=6, qk_norm=True, **_GEMMA)


FAMILIES: dict[str, TinyModel] = {
    "llama": TinyModel("llama"),
    "llama-tied": TinyModel("llama", {"rope.freq_base": 500000.0}, tied=True),
    "llama-biases": TinyModel("llama", biases=("attn_q", "attn_k", "attn_v", "attn_output")),
    "llama-linear": TinyModel("llama", {"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama-yarn": TinyModel("llama", _YARN),
    "llama-3.1": TinyModel("llama", vectors={"rope_freqs.weight": _FACTORS}),
    "smollm3": TinyModel("smollm3", {"rope.freq_base": 2000000.0}, layers=5, tied=True),
    "qwen2": TinyModel(
        "qwen2", {"rope.freq_base": 1e6}, head_size=16, tied=True, biases=("attn_q", "attn_k", "attn_v")
    ),
    "qwen2-yarn": TinyModel("qwen2", _YARN, head_size=16, biases=("attn_q", "attn_k", "attn_v")),
    "qwen3": TinyModel("qwen3", {"rope.freq_base": 1e6}, qk_norm=True),
    "phi3": TinyModel("phi3", hidden=128, fused=True, kv_heads=4),
    "phi3-partial": TinyModel("phi3", {"rope.dimension_count": 16}, hidden=128, fused=True, tied=True),
    "phi3-short": TinyModel("phi3", _LONG_KEYS, hidden=128, fused=True, vectors=_LONG, room=256),
    "phi3-long": TinyModel("phi3", _LONG_KEYS, hidden=128, fused=True, vectors=_LONG, room=512),
    "gemma2": TinyModel(
        "gemma2",
        {"attention.sliding_window": 8, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
        layers=3,
        **_GEMMA,
    ),
    "gemma2-pattern": TinyModel(
        "gemma2", {"attention.sliding_window": 8, "attention.sliding_window_pattern": 3}, layers=4, **_GEMMA
    ),
    "gemma3": TinyModel(
        "gemma3",
        {
            "attention.sliding_window": 8,
            "rope.freq_base": 1e6,
            "rope.scaling.type": "linear",
            "rope.scaling.factor": 8.0,
        },
        layers=7,
        qk_norm=True,
        **_GEMMA,
    ),
    "gemma3-pattern": _gemma3(3),
    "gemma3-all-windows": _gemma3(0),
    "gemma3-flags": _gemma3((False, True, True, False, False, True)),
}

TYPES = ("F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL")


def of_type(kind: str) -> TinyModel:
    """A model whose matrices, its tied embedding included, all have one type."""
    return TinyModel("llama", hidden=256, head_size=64, inner=256, tied=True, type=kind)


def write_model(path: Path, model: TinyModel, *, seed: int = 0) -> Path:
    """Write a case; equal arguments give equal bytes."""
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, model.architecture)
    for key, value in _keys(model).items():
        _add(writer, f"{model.architecture}.{key}", value)
    _add_tokenizer(writer)
    for name, shape in _matrices(model).items():
        add_matrix(writer, name, random_matrix(rng, name, shape), model.type, rng)
    for name, size in _norms(model).items():
        writer.add_tensor(name, (1 + 0.2 * rng.standard_normal(size)).astype(np.float32))
    for part in model.biases:
        for layer in range(model.layers):
            size = _matrices(model)[f"blk.{layer}.{part}.weight"][0]
            writer.add_tensor(f"blk.{layer}.{part}.bias", (0.5 * rng.standard_normal(size)).astype(np.float32))
    for name, values in model.vectors.items():
        writer.add_tensor(name, np.array(values, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _keys(model: TinyModel) -> dict[str, Any]:
    return {
        "block_count": model.layers,
        "embedding_length": model.hidden,
        "feed_forward_length": model.inner,
        "attention.head_count": model.heads,
        "attention.head_count_kv": model.kv_heads,
        "attention.key_length": model.head_size,
        "attention.value_length": model.head_size,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "context_length": 256,
        "rope.dimension_count": model.head_size,
    } | dict(model.keys)


def _add(writer: Any, key: str, value: Any) -> None:
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)
        case tuple():
            writer.add_array(key, value)


def _add_tokenizer(writer: Any) -> None:
    alphabet = sorted(ByteLevel.alphabet())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(["<end>", "<start>", *alphabet, *(f"t{index}" for index in range(VOCABULARY - 258))])
    writer.add_token_types([3, 3] + [1] * (VOCABULARY - 2))
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(0)
    writer.add_chat_template(TEMPLATE)


def _matrices(model: TinyModel) -> dict[str, tuple[int, int]]:
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    parts = {"attn_q": (queries, model.hidden), "attn_k": (keys, model.hidden), "attn_v": (keys, model.hidden)}
    parts |= {"ffn_gate": (model.inner, model.hidden), "ffn_up": (model.inner, model.hidden)}
    if model.fused:
        parts = {"attn_qkv": (queries + 2 * keys, model.hidden), "ffn_up": (2 * model.inner, model.hidden)}
    parts |= {"attn_output": (model.hidden, queries), "ffn_down": (model.hidden, model.inner)}
    shapes = {"token_embd.weight": (VOCABULARY, model.hidden)}
    if not model.tied:
        shapes["output.weight"] = (VOCABULARY, model.hidden)
    return shapes | {
        f"blk.{layer}.{part}.weight": shape for layer in range(model.layers) for part, shape in parts.items()
    }


def _norms(model: TinyModel) -> dict[str, int]:
    parts = {"attn_norm": model.hidden, "ffn_norm": model.hidden}
    if model.qk_norm:
        parts |= {"attn_q_norm": model.head_size, "attn_k_norm": model.head_size}
    if model.post_norms:
        parts |= {"post_attention_norm": model.hidden, "post_ffw_norm": model.hidden}
    norms = {f"blk.{layer}.{part}.weight": size for layer in range(model.layers) for part, size in parts.items()}
    return norms | {"output_norm.weight": model.hidden}


def random_matrix(rng: np.random.Generator, name: str, shape: tuple[int, int]) -> Values:
    """Weights that keep activations near one, and attention sharp enough that positions matter."""
    gain = 2.0 if any(part in name for part in ("attn_q", "attn_k")) else 1.0
    values: Values = (gain * rng.standard_normal(shape) / shape[1] ** 0.5).astype(np.float32)
    return values


def add_matrix(writer: Any, name: str, values: Values, kind: str, rng: np.random.Generator) -> None:
    """Add a matrix in a type; where the package cannot quantise to it, random blocks of that type instead."""
    quant = GGMLQuantizationType[kind]
    try:
        data = gguf.quantize(values, quant)
    except NotImplementedError:
        data = random_blocks(rng, kind, values.shape)
    writer.add_tensor(name, data, raw_dtype=quant)


# Where the half-precision scales of a block stand, and how large they may be for weights of a usual size.
_SCALES = {
    "Q2_K": ((80, 0.004), (82, 0.006)),
    "Q3_K": ((108, 0.001),),
    "Q4_K": ((0, 0.0002), (2, 0.0015)),
    "Q5_K": ((0, 0.0001), (2, 0.00155)),
    "Q6_K": ((208, 0.00005),),
    "IQ4_NL": ((0, 0.001),),
}


def random_blocks(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Blocks whose bits are random, with scales of a usual size."""
    block, size = gguf.GGML_QUANT_SIZES[GGMLQuantizationType[kind]]
    blocks = rng.integers(0, 256, (shape[0], shape[1] // block, size), np.uint8)
    for start, scale in _SCALES[kind]:
        values = (scale * (0.5 + rng.random(blocks.shape[:2]))).astype(np.float16)
        blocks[..., start : start + 2] = values[..., None].view(np.uint8)
    return blocks.reshape(shape[0], -1)
