"""What a GGUF file declares about its model: family, sizes, end tokens. Refuses by name what the graph cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gguf import GGUFReader

from inference.gguf.errors import UnsupportedModelError
from inference.gguf.llama import LlamaShape
from inference.types import ModelFileError

ARCHITECTURES = ("llama",)


def open_gguf(path: Path) -> GGUFReader:
    """Open a file, some seconds for a large vocabulary. Raises ModelFileError if it is no sound GGUF file."""
    try:
        return GGUFReader(path)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # the reader trusts its input: a damaged file raises whatever numpy or struct raise
        raise ModelFileError(f"{path} is not a sound GGUF file: it is cut off, damaged or of another kind.") from error


class Metadata:
    """Typed access to the key-value part of an open file."""

    def __init__(self, reader: GGUFReader) -> None:
        self._reader = reader

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a scalar or string key."""
        field = self._reader.get_field(key)
        return default if field is None else field.contents()

    def need(self, key: str) -> Any:
        """The value of a key that the graph cannot be made without."""
        value = self.get(key)
        if value is None:
            raise ModelFileError(f"The GGUF file has no key {key}.")
        return value

    @property
    def architecture(self) -> str:
        """The family, refused by its name if no graph is known for it."""
        name = str(self.need("general.architecture"))
        if name not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise UnsupportedModelError(f"The model's architecture {name} is not supported; supported are: {known}.")
        return name

    def end_tokens(self) -> list[int]:
        """Ids of the tokens that end an answer, the one that closes a turn first."""
        keys = ("tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id")
        found = [int(value) for key in keys if (value := self.get(key)) is not None]
        if not found:
            raise ModelFileError(f"The GGUF file has no key {keys[0]}.")
        return list(dict.fromkeys(found))

    def llama_shape(self, tensors: dict[str, Any]) -> LlamaShape:
        """Sizes of the decoder, checked against what the graph supports."""
        prefix = self.architecture
        self._refuse_unknown(prefix, tensors)
        hidden, heads = int(self.need(f"{prefix}.embedding_length")), int(self.need(f"{prefix}.attention.head_count"))
        head_size = int(self.get(f"{prefix}.attention.key_length", hidden // heads))
        return LlamaShape(
            layers=int(self.need(f"{prefix}.block_count")),
            hidden=hidden,
            heads=heads,
            kv_heads=int(self.get(f"{prefix}.attention.head_count_kv", heads)),
            head_size=head_size,
            feed_forward=int(self.need(f"{prefix}.feed_forward_length")),
            vocabulary=int(tensors["token_embd.weight"].shape[1]),
            context=int(self.need(f"{prefix}.context_length")),
            rope_base=float(self.get(f"{prefix}.rope.freq_base", 10000.0)),
            rope_dimensions=int(self.get(f"{prefix}.rope.dimension_count", head_size)),
            norm_epsilon=float(self.need(f"{prefix}.attention.layer_norm_rms_epsilon")),
        )

    def _refuse_unknown(self, prefix: str, tensors: dict[str, Any]) -> None:
        scaling = self.get(f"{prefix}.rope.scaling.type", "none")
        if scaling != "none" or "rope_freqs.weight" in tensors:
            raise UnsupportedModelError(f"Rope scaling ({scaling}) is not supported.")
        if self.get(f"{prefix}.expert_count", 0):
            raise UnsupportedModelError("Mixture-of-experts models are not supported.")
        expected = {"token_embd", "output", "output_norm", "attn_norm", "ffn_norm", "attn_q", "attn_k", "attn_v"}
        expected |= {"attn_output", "ffn_gate", "ffn_up", "ffn_down"}
        for name in tensors:
            part, _, kind = name.rpartition(".")
            if part.rpartition(".")[2] not in expected or kind != "weight":
                raise UnsupportedModelError(f"The tensor {name} is not supported.")
        missing = [name for name in ("token_embd.weight", "output_norm.weight") if name not in tensors]
        if missing:
            raise ModelFileError(f"The GGUF file lacks the tensor {missing[0]}.")
