"""Make families.npz: llama.cpp's float32 logits for the models of tests/inference/gguf/tiny_models.py.

usage, from the repository's root: python -m tests.inference.gguf.golden.make_families
It needs llama-cpp-python beside gguf, numpy and tokenizers. Each model is first rewritten as float32, so that llama.cpp
computes with float32 activations and not with its 8-bit ones; the cache is float32, too.
"""

import ctypes
import tempfile
from pathlib import Path
from typing import Any

import llama_cpp as lib  # type: ignore[import-not-found]  # installed by hand, for this script alone
import numpy as np

from tests.inference.gguf.golden.make_logits import rewrite_as_float32
from tests.inference.gguf.tiny_models import FAMILIES, TYPES, VOCABULARY, TinyModel, of_type, write_model

HERE = Path(__file__).parent
TOKENS = np.random.default_rng(7).integers(2, VOCABULARY, 40)
ROWS = np.array([0, 6, 7, 8, 9, 20, 39])


def logits_of(path: str, room: int) -> np.ndarray:
    """Logits after the tokens of ROWS, [rows, vocabulary]; the context has `room` positions."""
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    assert model, path
    params = lib.llama_context_default_params()
    assert room % 256 == 0, "llama.cpp would round it up, and the rope goes by it"
    params.n_ctx = params.n_batch = params.n_ubatch = room
    params.type_k = params.type_v = lib.GGML_TYPE_F32
    params.flash_attn_type = lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = lib.llama_init_from_model(model, params)
    batch = lib.llama_batch_init(len(TOKENS), 0, 1)
    batch.n_tokens = len(TOKENS)
    for i, token in enumerate(TOKENS):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = int(token), i, 1, True
        batch.seq_id[i][0] = 0
    assert lib.llama_decode(context, batch) == 0
    return np.stack(
        [np.ctypeslib.as_array(lib.llama_get_logits_ith(context, int(row)), (VOCABULARY,)).copy() for row in ROWS]
    )


def main() -> None:
    cases: dict[str, TinyModel] = FAMILIES | {kind: of_type(kind) for kind in TYPES}
    kept: dict[str, Any] = {"tokens": TOKENS, "rows": ROWS}
    with tempfile.TemporaryDirectory() as folder:
        for name, model in cases.items():
            written, as_float32 = Path(folder) / "model.gguf", Path(folder) / "float32.gguf"
            write_model(written, model)
            rewrite_as_float32(str(written), str(as_float32))
            kept[name] = logits_of(str(as_float32), model.room or 256)
            print(name, np.abs(kept[name]).max(), kept[name].std())
    np.savez_compressed(HERE / "families.npz", **kept)


if __name__ == "__main__":
    assert ctypes.sizeof(ctypes.c_void_p) == 8
    main()
