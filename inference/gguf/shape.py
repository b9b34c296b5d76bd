"""Sizes and constants of one decoder, as its file declares them. Knows keys, neither tensors nor nodes."""

from __future__ import annotations

from dataclasses import dataclass

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.families import Family
from inference.gguf.metadata import Metadata
from inference.types import ModelFileError

_NUMBER_BYTES = 4  # of float32; cos and sin together have as many numbers a position as turn with it


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """head_size: numbers in one head of Q, K or V. rotary_size: the first so many turn with the position.

    trained_context: positions the model was trained for. context: those of them that the graph has rotary tables for.

    windows: for each layer, how many positions, its own included, a row sees; 0 where it has no window.
    attention_scale: what the products of Q and K are multiplied by. The softcaps bound attention and logits by
    cap * tanh(x / cap); 0 is none.
    """

    family: Family
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    rotary_size: int
    feed_forward: int
    vocabulary: int
    trained_context: int
    context: int
    norm_epsilon: float
    windows: tuple[int, ...]
    attention_scale: float
    attention_softcap: float
    logit_softcap: float

    @property
    def rotary_pairs(self) -> int:
        """Numbers that turn together."""
        return self.rotary_size // 2

    def window_of(self, layer: int) -> int:
        """The window of one layer, 0 for none."""
        return self.windows[layer]

    def has_positions(self, layer: int) -> bool:
        """Whether Q and K of this layer are rotated."""
        period = self.family.no_rope_period
        return not period or layer % period != period - 1


def read_shape(metadata: Metadata, family: Family, vocabulary: int, table_bytes: int) -> DecoderShape:
    """table_bytes: the room for cos and sin of all positions, in float32; a context that asks for more is cut.

    Raises ModelFileError for a key that is missing or out of range, UnsupportedModelError for what has no graph.
    """
    name = metadata.architecture
    if metadata.count(f"{name}.expert_count", most=1 << 16, default=0, least=0):
        raise UnsupportedModelError("Mixture-of-experts models are not supported.")
    hidden = metadata.count(f"{name}.embedding_length", most=1 << 17)
    heads = metadata.count(f"{name}.attention.head_count", most=1 << 10)
    head_size = metadata.count(f"{name}.attention.key_length", most=1 << 12, default=max(1, hidden // heads))
    rotary_size = metadata.count(f"{name}.rope.dimension_count", most=head_size, default=head_size)
    layers = metadata.count(f"{name}.block_count", most=1 << 10)
    trained_context = metadata.count(f"{name}.context_length", most=1 << 24)
    shape = DecoderShape(
        family=family,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=metadata.count(f"{name}.attention.head_count_kv", most=heads, default=heads),
        head_size=head_size,
        rotary_size=rotary_size,
        feed_forward=metadata.count(f"{name}.feed_forward_length", most=1 << 20),
        vocabulary=vocabulary,
        trained_context=trained_context,
        context=min(trained_context, table_bytes // (_NUMBER_BYTES * rotary_size)),
        norm_epsilon=metadata.number(f"{name}.attention.layer_norm_rms_epsilon"),
        windows=_windows(metadata, family, layers),
        attention_scale=(hidden / heads if layers == family.wide_layers else head_size) ** -0.5,
        attention_softcap=metadata.number(f"{name}.attn_logit_softcapping", family.default_attention_softcap),
        logit_softcap=metadata.number(f"{name}.final_logit_softcapping", family.default_logit_softcap),
    )
    _check_heads(shape, metadata.count(f"{name}.attention.value_length", most=1 << 12, default=head_size))
    return shape


def _windows(metadata: Metadata, family: Family, layers: int) -> tuple[int, ...]:
    """The window of each layer. Its pattern is a flag for each, or after how many of them one has none."""
    if family.window_period is None:
        return (0,) * layers
    name = f"{metadata.architecture}.attention.sliding_window"
    window = metadata.count(name, most=1 << 31, default=family.default_window, least=0)
    flags = metadata.flags(f"{name}_pattern", layers)
    if flags is None:
        period = metadata.count(f"{name}_pattern", most=1 << 10, default=family.window_period, least=0)
        flags = [period == 0 or layer % period < period - 1 for layer in range(layers)]
    return tuple(window if has_window else 0 for has_window in flags)


def _check_heads(shape: DecoderShape, value_size: int) -> None:
    if shape.heads % shape.kv_heads:
        raise ModelFileError(f"{shape.heads} attention heads cannot share {shape.kv_heads} heads of keys.")
    if value_size != shape.head_size or shape.head_size % 8 or shape.rotary_size % 16:
        raise UnsupportedModelError(
            f"Attention heads of {shape.head_size} numbers, {shape.rotary_size} of them rotary, with values of "
            f"{value_size} are not supported: values must be as wide as keys, a multiple of 8, rotary of 16."
        )
