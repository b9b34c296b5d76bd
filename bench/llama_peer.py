"""`python -m bench.llama_peer MODEL.gguf THREADS SEQUENCES`: llama.cpp's bare engine as a peer.

Runs in the virtual environment of `bench/peers`, which has llama-cpp-python and nothing of ours. It samples
greedily and ignores end tokens, so that a batch stays full to its last step: what suits llama.cpp best.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import llama_cpp as lib  # type: ignore[import-not-found]  # not installed where the types are checked
import numpy as np
from numpy.typing import NDArray

from bench.protocol import Stream, encode_streams, own_streams, serve

CONTEXT = 2048
BATCH = 512


class Entry(NamedTuple):
    """One token of a batch."""

    token: int
    position: int
    sequence: int
    wants_logits: bool


class LlamaEngine:
    """A model with room for some sequences of CONTEXT tokens."""

    def __init__(self, path: str, threads: int, sequences: int) -> None:
        self._silence = lib.llama_log_callback(lambda level, text, data: None)
        lib.llama_log_set(self._silence, ctypes.c_void_p(0))
        lib.llama_backend_init()
        self._model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        assert self._model, f"llama.cpp cannot load {path}"
        self._vocab_size = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self._model))
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_seq_max = sequences * CONTEXT, sequences
        params.n_batch = params.n_ubatch = BATCH
        params.n_threads = params.n_threads_batch = threads
        self._context = lib.llama_init_from_model(self._model, params)
        self._batch = lib.llama_batch_init(BATCH, 0, 1)

    def generate(self, prompts: Sequence[Sequence[int]], max_tokens: int) -> Mapping[str, Any]:
        """All prompts packed into full batches, then all sequences one token a step."""
        self._forget()
        start = time.perf_counter()
        tokens, firsts = self._prefill(prompts, start)
        last = time.perf_counter() - start
        for step in range(max_tokens - 1):
            batch = [
                Entry(token, len(prompt) + step, sequence, True)
                for sequence, (prompt, token) in enumerate(zip(prompts, tokens, strict=True))
            ]
            tokens = self._decode(batch).argmax(axis=1).tolist()
            last = time.perf_counter() - start
        return encode_streams(Stream(first, last, last, max_tokens) for first in firsts)

    def logits(self, tokens: Sequence[int], path: str) -> Mapping[str, Any]:
        """Writes the logits after every token, [tokens, vocabulary] float32, to a .npy file."""
        self._forget()
        entries = [Entry(token, position, 0, True) for position, token in enumerate(tokens)]
        np.save(path, np.concatenate([self._decode(part).copy() for part in in_batches(entries)]))
        return {"path": path}

    def _prefill(self, prompts: Sequence[Sequence[int]], start: float) -> tuple[list[int], list[float]]:
        """The first token of each prompt, and when it was there."""
        entries = [
            Entry(token, position, sequence, position == len(prompt) - 1)
            for sequence, prompt in enumerate(prompts)
            for position, token in enumerate(prompt)
        ]
        tokens: list[int] = []
        firsts: list[float] = []
        for part in in_batches(entries):
            tokens += self._decode(part).argmax(axis=1).tolist()
            firsts += [time.perf_counter() - start] * (len(tokens) - len(firsts))
        return tokens, firsts

    def _decode(self, entries: Sequence[Entry]) -> NDArray[np.float32]:
        """Logits of the entries that want them, in their order, until the next call."""
        batch, rows = self._batch, sum(entry.wants_logits for entry in entries)
        batch.n_tokens = len(entries)
        for i, entry in enumerate(entries):
            batch.token[i], batch.pos[i], batch.logits[i] = entry.token, entry.position, entry.wants_logits
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, entry.sequence
        status = lib.llama_decode(self._context, batch)
        assert status == 0, f"llama_decode returned {status}"
        lib.llama_synchronize(self._context)
        if not rows:
            return np.empty((0, self._vocab_size), np.float32)
        return np.ctypeslib.as_array(lib.llama_get_logits(self._context), (rows, self._vocab_size))

    def _forget(self) -> None:
        lib.llama_memory_clear(lib.llama_get_memory(self._context), False)


def in_batches(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    return [entries[start : start + BATCH] for start in range(0, len(entries), BATCH)]


def main() -> None:
    lines, out = own_streams()
    engine = LlamaEngine(sys.argv[1], *map(int, sys.argv[2:]))
    name = f"llama.cpp (llama-cpp-python {lib.__version__})"
    serve(name, {"generate": engine.generate, "logits": engine.logits}, lines, out)


if __name__ == "__main__":
    main()
