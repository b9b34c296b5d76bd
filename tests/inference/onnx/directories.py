"""Model directories as onnxruntime-genai and Optimum write them, around a tiny decoder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.inference.onnx.tiny_decoder import (
    CONTEXT,
    HEAD_SIZE,
    HEADS,
    HIDDEN,
    KV_HEADS,
    LAYERS,
    VOCABULARY,
    TinyDecoder,
)
from tests.inference.onnx.tiny_graph import Form, save_tiny_decoder
from tests.inference.tiny_tokenizer import save_tiny_tokenizer

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>"


def save_genai(directory: Path, form: Form) -> TinyDecoder:
    """One graph; genai_config.json lists the names of its inputs and outputs."""
    model = save_tiny_decoder(directory / "model.onnx", form)
    names = {key: form.name(value) for key, value in _NAMES.items()}
    decoder = {
        "filename": "model.onnx",
        "head_size": HEAD_SIZE,
        "hidden_size": HIDDEN,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KV_HEADS,
        "inputs": {key: name for key, name in names.items() if not key.startswith(("present", "logits"))},
        "outputs": {key: name for key, name in names.items() if key.startswith(("present", "logits"))},
    }
    sizes = {"vocab_size": VOCABULARY, "context_length": CONTEXT, "eos_token_id": 2}
    whole = {"type": "llama", **sizes, "decoder": decoder}
    _write(directory / "genai_config.json", {"model": whole, "search": {"past_present_share_buffer": True}})
    save_tiny_tokenizer(directory / "tokenizer.json")
    (directory / "chat_template.jinja").write_text(TEMPLATE)
    return model


def save_optimum(directory: Path, graphs: Mapping[str, Form]) -> dict[str, TinyDecoder]:
    """One graph per file name; the template stands in tokenizer_config.json."""
    models = {name: save_tiny_decoder(directory / name, form) for name, form in graphs.items()}
    sizes = {"num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS}
    sizes |= {"hidden_size": HIDDEN, "head_dim": HEAD_SIZE, "vocab_size": VOCABULARY}
    _write(directory / "config.json", {"model_type": "llama", "max_position_embeddings": CONTEXT, **sizes})
    _write(directory / "generation_config.json", {"bos_token_id": 1, "eos_token_id": [2, 0]})
    _write(directory / "tokenizer_config.json", {"chat_template": TEMPLATE, "eos_token": "<|im_end|>"})
    save_tiny_tokenizer(directory / "tokenizer.json")
    return models


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content))


_NAMES = {
    "input_ids": "input_ids",
    "attention_mask": "attention_mask",
    "position_ids": "position_ids",
    "past_key_names": "past_key_values.%d.key",
    "past_value_names": "past_key_values.%d.value",
    "logits": "logits",
    "present_key_names": "present.%d.key",
    "present_value_names": "present.%d.value",
}
