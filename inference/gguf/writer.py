"""Writes the files of one ONNX directory from one checked GGUF file. Knows neither cache nor locks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.genai_config import GraphNames, ModelConfig, write_genai_config
from inference.gguf.blueprint import Blueprint
from inference.gguf.checked import CheckedFile
from inference.gguf.convert import CONVERTER_VERSION, Progress
from inference.gguf.decoder import DecoderGraph
from inference.gguf.graph import GraphBuilder
from inference.gguf.linear import DenseLayers, Layers, QuantizedLayers
from inference.gguf.weights import EightBitBlocks, StoredBlocks
from inference.model import TEMPLATE_FILE, TOKENIZER_FILE
from inference.types import Precision

_GRAPH_FILE = "model.onnx"
_INPUTS = {name: name for name in ("input_ids", "seqlens_k", "total_sequence_length", "logits_rows")}
_GRAPH_NAMES = GraphNames(
    file_name=_GRAPH_FILE,
    inputs=_INPUTS | {"past_key_names": "past_key_values.%d.key", "past_value_names": "past_key_values.%d.value"},
    outputs={
        "logits": "logits",
        "present_key_names": "present.%d.key",
        "present_value_names": "present.%d.value",
    },
)


def write_directory(
    file: CheckedFile,
    digest: str,
    target: Path,
    precision: Precision,
    progress: Progress,
    *,
    kernels: bool = False,
    created: int,
) -> None:
    """Convert a file, whose SHA-256 is `digest`, into files in the empty folder `target`.

    kernels: products and attention of an int4 or int8 graph are those of inference/kernels where these know the form.

    Raises UnsupportedModelError for weights that the kernels cannot hold, FloatingPointError for those that are no
    numbers: only they are looked at here for the first time.
    """
    file.tokenizer.save(str(target / TOKENIZER_FILE), pretty=False)
    (target / TEMPLATE_FILE).write_text(file.template, encoding="utf-8")
    data = target / f"{_GRAPH_FILE}.data"
    with GraphBuilder(file.source.stem, data, lambda done: progress(0.3 + 0.7 * done)) as graph:
        layers = _layers(graph, precision, kernels)
        DecoderGraph(Blueprint(graph, layers, file.shape, file.ropes, file.tensors, kernels)).build()
        graph.save(target / _GRAPH_FILE)
        attends = kernels and not graph.has("GroupQueryAttention")
        uniform = attends and not graph.has("MatMulNBits", "Gemm")
    # Last, because a directory with this file counts as whole.
    config = _config(file, digest, precision, created)
    write_genai_config(target, replace(config, kernels=kernels, own_attention=attends, uniform=uniform))


def _layers(graph: GraphBuilder, precision: Precision, kernels: bool) -> Layers:
    if precision in ("int4", "int8"):
        return QuantizedLayers(graph, StoredBlocks() if precision == "int4" else EightBitBlocks(), kernels=kernels)
    return DenseLayers(graph, np.float16 if precision == "float16" else np.float32)


def _config(file: CheckedFile, digest: str, precision: Precision, created: int) -> ModelConfig:
    shape = file.shape
    return ModelConfig(
        name=file.source.stem.split(".Q")[0],
        type=file.architecture,
        vocab_size=shape.vocabulary,
        context_length=shape.context,
        num_layers=shape.layers,
        num_heads=shape.heads,
        num_kv_heads=shape.kv_heads,
        head_size=shape.head_size,
        hidden_size=shape.hidden,
        eos_token_id=file.end_tokens[0],
        eos_token_ids=frozenset(file.end_tokens),
        graph=_GRAPH_NAMES,
        bos_token_id=file.start_token,
        pad_token_id=file.padding_token,
        precision=precision,
        source=file.source.name,
        sha256=digest,
        converter=CONVERTER_VERSION,
        created=created,
    )
