"""All that a GGUF file says but its weights, read and checked before anything is written. Knows no graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from inference.gguf.families import family_of
from inference.gguf.metadata import Metadata
from inference.gguf.reader import open_gguf
from inference.gguf.ropes import Ropes, read_ropes
from inference.gguf.shape import DecoderShape, read_shape
from inference.gguf.special_tokens import end_tokens
from inference.gguf.tensors import EMBEDDING, Tensors, check_tensors, vocabulary_of
from inference.gguf.tokenizer import build_tokenizer
from inference.gguf.vocabulary import read_vocabulary
from inference.types import ModelFileError

# Rotary tables may take so many bytes, or as many as the file has: published models need less, and a small file that
# claims millions of positions would become gigabytes.
_LEAST_TABLES = 1 << 26


@dataclass(frozen=True)
class CheckedFile:
    """tensors: by name, their numbers still in the file. end_tokens: the one that closes a turn first."""

    source: Path
    architecture: str
    shape: DecoderShape
    ropes: Ropes
    tensors: Tensors
    tokenizer: Tokenizer
    template: str
    end_tokens: tuple[int, ...]
    start_token: int | None
    padding_token: int | None


def check_file(source: Path) -> CheckedFile:
    """Raises ModelFileError if the file is damaged and UnsupportedModelError if it holds what no graph is known for."""
    reader = open_gguf(source)
    metadata = Metadata(reader)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    family, rows = family_of(metadata.architecture), vocabulary_of(tensors)
    shape = read_shape(metadata, family, rows, max(_LEAST_TABLES, source.stat().st_size))
    check_tensors(shape, tensors)
    if (tokens := metadata.length("tokenizer.ggml.tokens")) > rows:
        raise ModelFileError(f"The GGUF file has {tokens} tokens, but only {rows} rows in the tensor {EMBEDDING}.")
    vocabulary = read_vocabulary(reader)
    return CheckedFile(
        source=source,
        architecture=metadata.architecture,
        shape=shape,
        ropes=read_ropes(metadata, shape, tensors),
        tensors=tensors,
        template=metadata.need("tokenizer.chat_template", str),
        end_tokens=end_tokens(vocabulary),
        start_token=metadata.token("bos", rows),
        padding_token=metadata.token("padding", rows),
        tokenizer=build_tokenizer(vocabulary),
    )
