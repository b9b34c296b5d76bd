"""Teacher-forced comparison of graphs: logits of a whole text in one call, and what they say about each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.model import ModelDirectory

Logits = NDArray[np.float32]


def logits_of(
    model: ModelDirectory, tokens: Sequence[int], room: int | None = None, operators: Path | None = None
) -> Logits:
    """Logits after every token, [tokens, vocabulary], computed without the runner; `room` positions in the cache."""
    count, config = len(tokens), model.config
    options = ort.SessionOptions()
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    session = ort.InferenceSession(model.graph_path, options, providers=["CPUExecutionProvider"])
    dtype = np.float16 if config.precision == "float16" else np.float32
    cache = np.zeros((1, config.num_kv_heads, room or count, config.head_size), dtype)
    inputs = {
        "input_ids": np.array([tokens], np.int64),
        "seqlens_k": np.array([count - 1], np.int32),
        "total_sequence_length": np.array([count], np.int32),
        "logits_rows": np.arange(count, dtype=np.int64),
    } | {f"past_key_values.{layer}.{kind}": cache for layer in range(config.num_layers) for kind in ("key", "value")}
    logits: Logits = session.run(["logits"], inputs)[0]
    return logits


@dataclass(frozen=True)
class Comparison:
    """kl: mean Kullback-Leibler divergence from the reference, nats a token. Perplexities of the text itself."""

    kl: float
    perplexity: float
    reference_perplexity: float


def compare(reference: Logits, logits: Logits, tokens: Sequence[int]) -> Comparison:
    """How far `logits` are from `reference` over a text, predicting each token but the first."""
    expected, actual = log_softmax(reference[:-1]), log_softmax(logits[:-1])
    kl = float((np.exp(expected) * (expected - actual)).sum(axis=-1).mean())
    rows, targets = np.arange(len(tokens) - 1), np.array(tokens[1:])
    perplexities = (float(np.exp(-table[rows, targets].mean())) for table in (actual, expected))
    return Comparison(kl, *perplexities)


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    normalised: NDArray[np.float64] = wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))
    return normalised
