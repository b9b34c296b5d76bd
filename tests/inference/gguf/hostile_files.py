"""GGUF files that are small and claim much: one for each way in which a reader that believes them would pay."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.inference.gguf.test_convert import byte_level, sentencepiece, tiny_gguf

Make = Callable[[Path], Path]


def folded(path: Path, layers: int) -> Path:
    """Layers that all lie on the bytes of the first one."""
    content = tiny_gguf(path, block_count=layers).read_bytes()
    reader = gguf.GGUFReader(path)
    infos = [(tensor.name, b"".join(part.tobytes() for part in tensor.field.parts)) for tensor in reader.tensors]
    repeated = [
        struct.pack("<Q", len(other)) + other.encode() + info[8 + len(name) :]
        for layer in range(1, layers)
        for name, info in infos
        if name.startswith("blk.0.") and (other := name.replace("blk.0.", f"blk.{layer}."))
    ]
    count = struct.pack("<Q", len(infos) + len(repeated))
    first = min(tensor.field.offset for tensor in reader.tensors)
    head = content[:8] + count + content[16:first] + b"".join([info for _, info in infos] + repeated)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + content[reader.data_offset :])
    return path


def with_pieces(path: Path, pieces: list[str], kind: int = 1) -> Path:
    """A SentencePiece vocabulary of these beside the bytes, each of one type."""

    def tokenizer(writer: Any) -> None:
        sentencepiece(writer)
        values = writer.kv_data[0]
        values["tokenizer.ggml.tokens"].value[257:] = pieces
        values["tokenizer.ggml.token_type"].value[257:] = [kind] * len(pieces)
        values["tokenizer.ggml.scores"].value[257:] = [0.0] * len(pieces)

    return tiny_gguf(path, lambda writer: None, tokenizer)


def _with_list(path: Path, key: str, value: list[str]) -> Path:
    return tiny_gguf(path, lambda writer: writer.add_array(key, value))


def _wide_heads(path: Path) -> Path:
    def widen(writer: Any) -> None:
        for part, shape in {"q": (4096, 64), "k": (4096, 64), "v": (4096, 64), "output": (64, 4096)}.items():
            del writer.tensors[0][f"blk.0.attn_{part}.weight"]
            writer.add_tensor(f"blk.0.attn_{part}.weight", np.zeros(shape, np.float32))

    heads = {"attention.head_count": 1, "attention.key_length": 4096, "attention.value_length": 4096}
    return tiny_gguf(path, widen, context_length=1 << 20, **heads)


def _many_keys(path: Path) -> Path:
    def add(writer: Any) -> None:
        for number in range(65_000):
            writer.add_uint8(f"key{number}", 0)

    return tiny_gguf(path, add)


def _special_tokens(path: Path) -> Path:
    return with_pieces(path, [f"<{number}>{'x' * 1000}" for number in range(20_000)], kind=3)


CLAIMS: Mapping[str, Make] = {
    "16 million positions": partial(tiny_gguf, context_length=1 << 24),
    "a million positions of wide heads": _wide_heads,
    "a million tokens": partial(_with_list, key="tokenizer.ggml.more", value=[""] * 1_000_000),
    "65,000 keys": _many_keys,
    "600 layers in one": partial(folded, layers=600),
    "1,500 runs": lambda path: with_pieces(path, ["a" * length for length in range(1, 1500)]),
    "a token of 400,000 characters": lambda path: with_pieces(path, ["a", "b", "ab" * 200_000]),
    "20 million characters of special tokens": _special_tokens,
}
TOKENIZERS = {"byte-level": byte_level, "SentencePiece": sentencepiece}
