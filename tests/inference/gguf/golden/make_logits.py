"""Make logits.npz: llama.cpp's float32 logits for passage.txt, the independent reference of the float32 graph.

usage: python make_logits.py MODEL.gguf    (needs llama-cpp-python and numpy; the model is first rewritten as float32,
so that llama.cpp computes with float32 activations and not with its 8-bit ones)
"""

import ctypes
import sys
import tempfile
from pathlib import Path

import llama_cpp as lib  # type: ignore[import-not-found]  # installed by hand, for this script alone
import numpy as np

HERE = Path(__file__).parent
KEPT = 64


def rewrite_as_float32(source: str, target: str) -> None:
    params = lib.llama_model_quantize_default_params()
    params.ftype = lib.LLAMA_FTYPE_ALL_F32
    params.allow_requantize = True
    assert lib.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(params)) == 0


def logits_of(path: str, text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Token ids [n] and the logits after each of them [n, vocabulary]."""
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    vocab = lib.llama_model_get_vocab(model)
    tokens = (lib.llama_token * len(text))()
    count = lib.llama_tokenize(vocab, text, len(text), tokens, len(text), False, False)
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = max(64, count)
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(count, 0, 1)
    batch.n_tokens = count
    for i in range(count):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = tokens[i], i, 1, True
        batch.seq_id[i][0] = 0
    assert lib.llama_decode(context, batch) == 0
    size = lib.llama_vocab_n_tokens(vocab)
    rows = [np.ctypeslib.as_array(lib.llama_get_logits_ith(context, i), (size,)).copy() for i in range(count)]
    return np.array(tokens[:count], np.int64), np.stack(rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        as_float32 = str(Path(folder) / "float32.gguf")
        rewrite_as_float32(sys.argv[1], as_float32)
        tokens, logits = logits_of(as_float32, (HERE / "passage.txt").read_bytes().strip())
    best = np.argsort(-logits, axis=1)[:, :KEPT]
    wide = logits.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    normalisers = (np.log(np.exp(wide - top).sum(axis=1, keepdims=True)) + top)[:, 0]
    np.savez_compressed(
        HERE / "logits.npz",
        tokens=tokens,
        best=best.astype(np.int32),
        logits=np.take_along_axis(logits, best, axis=1),
        normalisers=normalisers,
    )
    print(len(tokens), "tokens")


if __name__ == "__main__":
    main()
