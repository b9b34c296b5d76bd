"""The model families a graph can be made for, and how each differs from the others. Knows no file and no nodes.

A family is named as `general.architecture` names it (GGUF specification, "Standardized key-value pairs").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from inference.gguf.errors import UnsupportedModelError
from inference.quoted import quoted

Activation = Literal["silu", "gelu"]


@dataclass(frozen=True, slots=True)
class Family:
    """What the decoder of a family does beside the common: RMS norms, grouped queries, rotary positions, a gated FFN.

    models: whose files these are.  interleaved: Q and K are stored for rotary pairs (2i, 2i+1), not (i, i + half).
    fused: Q, K, V and gate, up may be one tensor each.  qk_norm: RMS norm of each head of Q and K.
    post_norms: RMS norm of what attention and feed-forward add.  scaled_embedding: by the root of the hidden size.
    window_period: all layers but every n-th have a sliding window, 0 means all of them, None that there are no windows;
    default_window: its size; both where the file does not tell.  no_rope_period: every n-th layer has no positions.
    local_rope_base: rotary base of the layers with a window, where it differs.  wide_layers: a model of so many layers
    scales attention by hidden / heads instead of the head size.
    """

    models: str
    interleaved: bool = False
    fused: bool = False
    qk_norm: bool = False
    post_norms: bool = False
    scaled_embedding: bool = False
    activation: Activation = "silu"
    window_period: int | None = None
    default_window: int = 0
    no_rope_period: int = 0
    local_rope_base: float | None = None
    default_attention_softcap: float = 0.0
    default_logit_softcap: float = 0.0
    wide_layers: int = 0


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "llama": Family("Llama, Mistral, SmolLM, SmolLM2", interleaved=True, window_period=0),
        "smollm3": Family("SmolLM3", interleaved=True, no_rope_period=4),
        "qwen2": Family("Qwen2, Qwen2.5"),
        "qwen3": Family("Qwen3", qk_norm=True),
        "phi3": Family("Phi-3, Phi-3.5, Phi-4-mini", fused=True, window_period=0),
        "gemma2": Family(
            "Gemma 2",
            post_norms=True,
            scaled_embedding=True,
            activation="gelu",
            window_period=2,
            default_window=4096,
            default_attention_softcap=50.0,
            default_logit_softcap=30.0,
            wide_layers=46,
        ),
        "gemma3": Family(
            "Gemma 3 (text)",
            qk_norm=True,
            post_norms=True,
            scaled_embedding=True,
            activation="gelu",
            window_period=6,
            local_rope_base=10000.0,
            wide_layers=62,
        ),
    }
)


def family_of(architecture: str) -> Family:
    """Raises UnsupportedModelError, which names the architecture and those that are supported."""
    family = FAMILIES.get(architecture)
    if family is None:
        raise UnsupportedModelError(
            f"The model's architecture {quoted(architecture)} is not supported; supported are: {', '.join(FAMILIES)}."
        )
    return family
