"""A decoder of two layers with random weights: in numpy.

Written from the definitions (RoFormer, arXiv:2104.09864; GQA, arXiv:2305.13245; SwiGLU,
arXiv:2002.05202; RMSNorm, arXiv:1910.07467) in float64; `tiny_graph` shares only the weights with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inference.genai_config import GraphNames, ModelConfig

Precision = Literal["float32", "float16", "int8", "int4", "dynamic int8"]
LAYERS, HIDDEN, HEADS, KV_HEADS, HEAD_SIZE, FEED_FORWARD, VOCABULARY, CONTEXT = 2, 32, 4, 2, 16, 64, 300, 64
EPSILON = 1e-5
CONFIG = ModelConfig(
    name="Tiny",
    type="llama",
    vocab_size=VOCABULARY,
    context_length=CONTEXT,
    num_layers=LAYERS,
    num_heads=HEADS,
    num_kv_heads=KV_HEADS,
    head_size=HEAD_SIZE,
    hidden_size=HIDDEN,
    eos_token_id=2,
    eos_token_ids=frozenset({2}),
    graph=GraphNames("model.onnx", {}, {}),
)
BLOCK = 32


@dataclass(frozen=True)
class Weight:
    """A matrix [inputs, outputs] as it is stored, and the numbers that it stands for."""

    value: NDArray[np.float64]
    quantised: NDArray[np.uint8] | None = None
    scales: NDArray[np.float32] | None = None


class TinyDecoder:
    """The weights in one precision."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        random = np.random.default_rng(7)
        width, kv_width = HEADS * HEAD_SIZE, KV_HEADS * HEAD_SIZE
        sizes = {"q": (HIDDEN, width), "k": (HIDDEN, kv_width), "v": (HIDDEN, kv_width), "o": (width, HIDDEN)}
        sizes |= {"gate": (HIDDEN, FEED_FORWARD), "up": (HIDDEN, FEED_FORWARD), "down": (FEED_FORWARD, HIDDEN)}
        self.embedding = self._rounded(random.normal(size=(VOCABULARY, HIDDEN)))
        self.layers = [
            {name: self._stored(random.normal(size=size) / size[0] ** 0.5) for name, size in sizes.items()}
            for _ in range(LAYERS)
        ]
        self.head = self._stored(random.normal(size=(HIDDEN, VOCABULARY)))

    def logits(self, tokens: Sequence[int]) -> NDArray[np.float64]:
        """After each token, [tokens, vocabulary]."""
        x = self.embedding[list(tokens)]
        for layer in self.layers:
            h = _norm(x)
            q, k, v = (h @ layer[name].value for name in "qkv")
            x = x + _attention(q, k, v) @ layer["o"].value
            h = _norm(x)
            gate = h @ layer["gate"].value
            x = x + (gate / (1 + np.exp(-gate)) * (h @ layer["up"].value)) @ layer["down"].value
        return _norm(x) @ self.head.value

    def _rounded(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        dtype = np.float16 if self.precision == "float16" else np.float32
        return value.astype(dtype).astype(np.float64)

    def _stored(self, value: NDArray[np.float64]) -> Weight:
        if self.precision not in ("int4", "int8"):
            return Weight(self._rounded(value))
        bits = 4 if self.precision == "int4" else 8
        zero = 1 << (bits - 1)
        blocks = value.T.reshape(value.shape[1], -1, BLOCK)
        scales = (np.abs(blocks).max(axis=2) / (zero - 1)).astype(np.float32)
        q = np.clip(np.rint(blocks / scales[..., None]) + zero, 0, 2 * zero - 1).astype(np.uint8)
        exact = ((q.astype(np.float64) - zero) * scales[..., None]).reshape(value.shape[1], -1).T
        packed = q[..., ::2] | q[..., 1::2] << 4 if bits == 4 else q
        return Weight(exact, packed, scales.reshape(-1))


def _norm(x: NDArray[np.float64]) -> NDArray[np.float64]:
    normed: NDArray[np.float64] = x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPSILON)
    return normed


def angles() -> NDArray[np.float64]:
    frequencies = 10000.0 ** (-np.arange(HEAD_SIZE // 2) / (HEAD_SIZE // 2))
    return np.outer(np.arange(CONTEXT), frequencies)


def _attention(q: NDArray[np.float64], k: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(q)
    cos, sin = (f(angles()[:count, None]) for f in (np.cos, np.sin))

    def rotated(x: NDArray[np.float64]) -> NDArray[np.float64]:
        first, second = np.split(x.reshape(count, -1, HEAD_SIZE), 2, axis=2)
        return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=2)

    queries, keys, values = rotated(q), rotated(k), v.reshape(count, -1, HEAD_SIZE)
    result = np.empty_like(queries)
    for head in range(HEADS):
        shared = head // (HEADS // KV_HEADS)
        scores = queries[:, head] @ keys[:, shared].T / HEAD_SIZE**0.5
        scores[np.triu_indices(count, 1)] = -np.inf
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        result[:, head] = shares / shares.sum(axis=1, keepdims=True) @ values[:, shared]
    return result.reshape(count, -1)
