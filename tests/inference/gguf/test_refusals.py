"""What is refused is named in one short sentence, whatever the file calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.gguf.convert import ensure_converted
from inference.gguf.errors import UnsupportedModelError
from inference.types import ModelFileError
from tests.inference.gguf.test_convert import silent, tiny_gguf


def refusal(source: Path) -> ModelFileError:
    """What converting the file says; every test looks at more of it than that it was refused."""
    with pytest.raises(ModelFileError) as caught:
        ensure_converted(source, source.parent / "cache", "int4", silent)
    return caught.value


def with_offset_of(content: bytes, tensor: str, other: str) -> bytes:
    """A GGUF file in which the tensor lies where the other one lies; both have two dimensions."""
    places = [content.index(name.encode()) + len(name) + 4 + 16 + 4 for name in (tensor, other)]
    offset = content[places[1] : places[1] + 8]
    return content[: places[0]] + offset + content[places[0] + 8 :]


def test_tensors_that_overlap_are_refused_by_name(tmp_path: Path) -> None:
    """Else the bytes of one layer could be those of a thousand, and a small file become a huge model."""
    source = tiny_gguf(tmp_path / "folded.gguf")
    source.write_bytes(with_offset_of(source.read_bytes(), "blk.0.ffn_up.weight", "blk.0.ffn_gate.weight"))
    assert "'blk.0.ffn_gate.weight' and 'blk.0.ffn_up.weight' overlap" in str(refusal(source))


EVIL = "a\nb\x1b[2J" + "x" * 1_000_000


def nothing(writer: Any) -> None:
    """Evil stands in a key, not in what is added."""


def evil_tensor(writer: Any) -> None:
    writer.add_tensor(EVIL[:60], np.zeros(4, np.float32))


def evil_pre_tokenizer(writer: Any) -> None:
    writer.kv_data[0]["tokenizer.ggml.pre"].value = EVIL


def evil_merge(writer: Any) -> None:
    writer.kv_data[0]["tokenizer.ggml.merges"].value = [f"{EVIL} 0"]


@pytest.mark.parametrize(
    ("changes", "add", "named"),
    [
        ({"architecture": EVIL}, nothing, "architecture"),
        ({"rope.scaling.type": EVIL}, nothing, "Rope scaling"),
        ({}, evil_tensor, "tensor"),
        ({}, evil_pre_tokenizer, "pre-tokenizer"),
        ({}, evil_merge, "merges"),
    ],
    ids=["architecture", "rope scaling", "tensor", "pre-tokenizer", "merges"],
)
def test_a_refusal_quotes_what_the_file_says_in_one_short_printable_sentence(
    tmp_path: Path, changes: dict[str, Any], add: Callable[[Any], None], named: str
) -> None:
    error = refusal(tiny_gguf(tmp_path / "odd.gguf", add, **changes))
    assert isinstance(error, UnsupportedModelError)
    said = str(error).removeprefix(str(tmp_path))
    assert named in said
    assert len(said) < 500
    assert said.isprintable()
