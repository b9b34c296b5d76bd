"""A directory as Optimum exports it and onnx-community publishes it: which graph of several, and the model's sizes.

Knows config.json, generation_config.json and the names of the graphs. Does not know tokenizers or ONNX Runtime.
Reference: https://huggingface.co/docs/transformers.js/guides/dtypes (names), https://huggingface.co/docs/optimum
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from inference.genai_config import GraphNames, ModelConfig
from inference.json_object import JsonObject
from inference.types import ModelFileError, Precision

FILE_NAME = "config.json"
GENERATION_FILE = "generation_config.json"
_GRAPH = re.compile(r"(onnx/)?(?:model|decoder_model_merged)(?:_(\w+))?\.onnx")
# How a graph's file name ends, the preferred one of a precision first.
_SUFFIXES: dict[str, Precision] = {
    "": "float32",
    "fp16": "float16",
    "int8": "int8",
    "quantized": "int8",
    "uint8": "int8",
    "q4": "int4",
    "q4f16": "int4",
    "bnb4": "int4",
}


def read_optimum_config(directory: Path, precisions: Sequence[Precision], name: str | None = None) -> ModelConfig:
    """The model's config, with the graph of the first of `precisions` that there is; named like its directory, unless
    a name is given.

    Raises ModelFileError, which names the file and key that are wrong or lists the graphs that there are.
    """
    root = JsonObject.read(directory / FILE_NAME)
    file, precision = _choose(directory, precisions)
    vocab_size = root.count("vocab_size")
    ends = _stated(root, "eos_token_id").token_ids("eos_token_id", vocab_size)
    heads, hidden = _count(root, "num_attention_heads", "n_head"), _count(root, "hidden_size", "n_embd")
    return ModelConfig(
        name=name or directory.name,
        type=root.need("model_type", str),
        vocab_size=vocab_size,
        context_length=_count(root, "max_position_embeddings", "n_positions"),
        num_layers=_count(root, "num_hidden_layers", "n_layer"),
        num_heads=heads,
        num_kv_heads=_optional_count(root, "num_key_value_heads", heads),
        head_size=_optional_count(root, "head_dim", hidden // heads),
        hidden_size=hidden,
        eos_token_id=ends[0],
        eos_token_ids=frozenset(ends),
        graph=GraphNames(file, {}, {}),
        bos_token_id=_stated(root, "bos_token_id").token_id("bos_token_id", vocab_size),
        pad_token_id=_stated(root, "pad_token_id").token_id("pad_token_id", vocab_size),
        precision=precision,
    )


def _stated(root: JsonObject, key: str) -> JsonObject:
    """generation_config.json if it has the key, else config.json."""
    path = root.path.with_name(GENERATION_FILE)
    generation = JsonObject.read(path) if path.exists() else root
    return generation if generation.values.get(key) is not None else root


def _count(root: JsonObject, name: str, older: str) -> int:
    return root.count(older if older in root.values and name not in root.values else name)


def _optional_count(root: JsonObject, name: str, default: int) -> int:
    return default if root.values.get(name) is None else root.count(name)


def choose_graph(files: Iterable[str], precisions: Sequence[Precision]) -> tuple[str, Precision] | None:
    """Among the files of a directory (paths below it), the graph of the first of `precisions` that there is."""
    there = _graphs(files)
    for wanted in precisions:
        for suffix, precision in _SUFFIXES.items():
            if precision == wanted and suffix in there:
                return there[suffix], wanted
    return None


def graphs_in(files: Iterable[str]) -> str:
    """All graphs among the files of a directory with their precisions, in words; empty if there are none."""
    there = sorted(_graphs(files).items())
    return ", ".join(f"{_SUFFIXES.get(suffix, 'unknown')} ({file})" for suffix, file in there)


def _choose(directory: Path, precisions: Sequence[Precision]) -> tuple[str, Precision]:
    """The path of the graph below the directory, and its precision."""
    paths = [*directory.glob("*.onnx"), *directory.glob("onnx/*.onnx")]
    files = [path.relative_to(directory).as_posix() for path in paths]
    if chosen := choose_graph(files, precisions):
        return chosen
    if listed := graphs_in(files):
        raise ModelFileError(f"{directory} has no {' or '.join(precisions)} graph; it has {listed}.")
    raise ModelFileError(f"{directory} has a {FILE_NAME} but no graph: neither onnx/model*.onnx nor model*.onnx.")


def _graphs(files: Iterable[str]) -> dict[str, str]:
    """The graphs by the end of their name; those in onnx/ go before those in the directory itself."""
    found = {file: _GRAPH.fullmatch(file) for file in files}
    matches = sorted((match for match in found.values() if match), key=lambda match: (bool(match[1]), match[0]))
    return {match[2] or "": match[0] for match in matches}
