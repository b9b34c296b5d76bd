"""Whether a graph's past and present may be one buffer, found out by trying. Knows no slots.

A graph says nothing of it: GroupQueryAttention and plain operators declare the same inputs. So one token is read after
another twice, once with a past of just the positions before it and once with a longer buffer, as it would be shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from inference.onnx.batch import Batch
from inference.onnx.declared import DeclaredGraph
from inference.onnx.inputs import input_value

_BUFFER = 8
_SAME = 1e-3  # of the largest logit; a wrong position makes more of a difference
_Cache = list[NDArray[Any]]


def can_share(session: ort.InferenceSession, graph: DeclaredGraph) -> bool:
    """Whether calls over a buffer with room to spare have the logits of calls without, and keep its length."""
    if "seqlens_k" in graph.inputs:
        return True
    if "attention_mask" not in graph.inputs:
        return False
    exact = _two_tokens(session, graph, 0)
    try:
        shared = _two_tokens(session, graph, _BUFFER)
    except Exception:  # onnxruntime's own exceptions have no common base below this one
        return False
    if shared is None or exact is None:
        return False
    return bool(np.abs(shared - exact).max() <= _SAME * np.abs(exact).max())


def _two_tokens(session: ort.InferenceSession, graph: DeclaredGraph, buffer: int) -> NDArray[Any] | None:
    """The logits after two tokens that were read one by one; None if a buffer of that length did not keep it."""
    shape = (1, graph.kv_heads, buffer, graph.head_size)
    cache: _Cache = [np.zeros(shape, graph.cache_dtype) for _ in graph.cache]
    for position in range(2):
        logits, cache = _call(session, graph, Batch.of(0, [[position + 1]], [position], 1), cache)
        if buffer and cache[0].shape[2] != buffer:
            return None
    return logits


def _call(
    session: ort.InferenceSession, graph: DeclaredGraph, batch: Batch, cache: _Cache
) -> tuple[NDArray[Any], _Cache]:
    options = ort.RunOptions()
    options.log_severity_level = 4  # that it fails is an answer
    feeds: Mapping[str, Any] = {
        tensor.name: input_value(graph, role, batch, pads_left=False).astype(tensor.dtype)
        for role, tensor in graph.inputs.items()
    }
    past = {pair.past.name: value for pair, value in zip(graph.cache, cache, strict=True)}
    names = [graph.logits.name, *(pair.present.name for pair in graph.cache)]
    logits, *present = session.run(names, {**feeds, **past}, options)
    return logits, present
