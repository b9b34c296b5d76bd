"""SentencePiece vocabularies as GGUF files: the tests read what golden/make_sentencepiece.py gave to llama.cpp."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gguf
from gguf import TokenType

Piece = tuple[str, float, int]
"""A token's text, score and type."""


@dataclass(frozen=True)
class SentencePieceFile:
    """One kind of file. name: the model's. added: tokens behind those that all have. closing: the type of </s>."""

    name: str
    add_space_prefix: bool | None
    added: tuple[tuple[str, TokenType], ...]
    closing: TokenType = TokenType.CONTROL


FILES = {
    "llama": SentencePieceFile("LLaMA v2", None, (("[INST]", TokenType.CONTROL), ("[/INST]", TokenType.CONTROL))),
    "gemma": SentencePieceFile(
        "Gemma 2 2b It",
        False,
        (
            ("<start_of_turn>", TokenType.CONTROL),
            ("<end_of_turn>", TokenType.CONTROL),
            *((text, TokenType.USER_DEFINED) for text in ("\n\n", "\n\n\n", "  ", "   ", "<b>", "</b>")),
        ),
    ),
    "phi3": SentencePieceFile(
        "Phi3",
        True,
        tuple((f"<|{name}|>", TokenType.CONTROL) for name in ("endoftext", "assistant", "system", "end", "user")),
        closing=TokenType.USER_DEFINED,
    ),
}


def write_file(path: Path, pieces: Sequence[Piece], file: SentencePieceFile) -> Path:
    """Write a vocabulary without a model."""
    added = [(text, -1000.0, int(kind)) for text, kind in file.added]
    texts, scores, types = zip(*pieces, *added, strict=True)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(file.name)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(list(texts))
    writer.add_token_scores(list(scores))
    writer.add_token_types(
        [int(file.closing) if text == "</s>" else kind for text, kind in zip(texts, types, strict=True)]
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if file.add_space_prefix is not None:
        writer.add_add_space_prefix(file.add_space_prefix)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path
