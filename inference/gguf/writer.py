"""Writes the files of one ONNX directory from one GGUF file. Knows neither cache nor locks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.genai_config import GraphNames, ModelConfig, write_genai_config
from inference.gguf.blueprint import Blueprint
from inference.gguf.convert import CONVERTER_VERSION, Progress
from inference.gguf.decoder import DecoderGraph
from inference.gguf.families import family_of
from inference.gguf.graph import GraphBuilder
from inference.gguf.linear import DenseLayers, Layers, QuantizedLayers
from inference.gguf.metadata import Metadata
from inference.gguf.reader import open_gguf
from inference.gguf.ropes import read_ropes
from inference.gguf.shape import DecoderShape, read_shape
from inference.gguf.tensors import check_tensors, vocabulary_of
from inference.gguf.tokenizer import write_tokenizer
from inference.gguf.weights import EightBitBlocks, StoredBlocks
from inference.model import TEMPLATE_FILE, TOKENIZER_FILE
from inference.types import Precision

_GRAPH_FILE = "model.onnx"
# Rotary tables may take so many bytes, or as many as the file has: published models need less, and a small file that
# claims millions of positions would become gigabytes.
_LEAST_TABLES = 1 << 26
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
    source: Path,
    digest: str,
    target: Path,
    precision: Precision,
    progress: Progress,
    *,
    kernels: bool = False,
    created: int,
) -> None:
    """Convert `source`, whose SHA-256 is `digest`, into files in the empty folder `target`.

    kernels: products and attention of an int4 or int8 graph are those of inference/kernels where these know the form.

    Raises ModelFileError if the file is damaged and UnsupportedModelError if it holds what no graph is known for.
    """
    progress(0.0)
    reader = open_gguf(source)
    metadata = Metadata(reader)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    room = max(_LEAST_TABLES, source.stat().st_size)
    shape = read_shape(metadata, family_of(metadata.architecture), vocabulary_of(tensors), room)
    check_tensors(shape, tensors)
    ropes = read_ropes(metadata, shape, tensors)
    template = metadata.need("tokenizer.chat_template", str)
    write_tokenizer(reader, target / TOKENIZER_FILE)
    (target / TEMPLATE_FILE).write_text(template, encoding="utf-8")
    with GraphBuilder(source.stem, target / f"{_GRAPH_FILE}.data", lambda done: progress(0.3 + 0.7 * done)) as graph:
        DecoderGraph(Blueprint(graph, _layers(graph, precision, kernels), shape, ropes, tensors, kernels)).build()
        graph.save(target / _GRAPH_FILE)
        attends = kernels and not graph.has("GroupQueryAttention")
        uniform = attends and not graph.has("MatMulNBits", "Gemm")
    # Last, because a directory with this file counts as whole.
    config = _config(source, digest, precision, metadata, shape, created)
    write_genai_config(target, replace(config, kernels=kernels, own_attention=attends, uniform=uniform))
    progress(1.0)


def _layers(graph: GraphBuilder, precision: Precision, kernels: bool) -> Layers:
    if precision in ("int4", "int8"):
        return QuantizedLayers(graph, StoredBlocks() if precision == "int4" else EightBitBlocks(), kernels=kernels)
    return DenseLayers(graph, np.float16 if precision == "float16" else np.float32)


def _config(
    source: Path, digest: str, precision: Precision, metadata: Metadata, shape: DecoderShape, created: int
) -> ModelConfig:
    ends = metadata.end_tokens(shape.vocabulary)
    return ModelConfig(
        name=source.stem.split(".Q")[0],
        type=metadata.architecture,
        vocab_size=shape.vocabulary,
        context_length=shape.context,
        num_layers=shape.layers,
        num_heads=shape.heads,
        num_kv_heads=shape.kv_heads,
        head_size=shape.head_size,
        hidden_size=shape.hidden,
        eos_token_id=ends[0],
        eos_token_ids=frozenset(ends),
        graph=_GRAPH_NAMES,
        bos_token_id=metadata.token("bos", shape.vocabulary),
        pad_token_id=metadata.token("padding", shape.vocabulary),
        precision=precision,
        source=source.name,
        sha256=digest,
        converter=CONVERTER_VERSION,
        created=created,
    )
