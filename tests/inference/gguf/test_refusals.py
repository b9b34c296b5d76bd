"""What is refused is named in one short sentence, whatever the file calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.gguf.convert import ensure_converted
from inference.gguf.errors import UnsupportedModelError
from inference.types import ModelFileError
from tests.inference.gguf.hostile_files import with_pieces
from tests.inference.gguf.test_convert import silent, tiny_gguf


def refusal(source: Path) -> ModelFileError:
    """What converting the file says, and that nothing was written for it."""
    with pytest.raises(ModelFileError) as caught:
        ensure_converted(source, source.parent / "cache", "int4", silent)
    assert not (source.parent / "cache").exists()
    return caught.value


def with_type(content: bytes, tensor: str, kind: int) -> bytes:
    """A GGUF file in which the tensor claims to have another type."""
    end = content.index(tensor.encode()) + len(tensor)
    dimensions = int.from_bytes(content[end : end + 4], "little")
    place = end + 4 + 8 * dimensions
    return content[:place] + kind.to_bytes(4, "little") + content[place + 4 :]


@pytest.mark.parametrize("kind", ["Q8_1", "Q8_K", "IQ2_XXS", "IQ4_XS", "TQ1_0", "MXFP4", "I8", "F64"])
def test_a_type_that_no_graph_is_known_for_is_named(tmp_path: Path, kind: str) -> None:
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]

    def add(writer: Any) -> None:
        values: NDArray[Any] = np.zeros((32, 64), {"I8": np.int8, "F64": np.float64}.get(kind, np.float32))
        if size > 1:
            shape = gguf.quant_shape_to_byte_shape((32, 256), gguf.GGMLQuantizationType[kind])
            values = np.zeros(shape, np.uint8)
        writer.add_tensor("output.weight", values, raw_dtype=gguf.GGMLQuantizationType[kind])

    error = refusal(tiny_gguf(tmp_path / "odd.gguf", add))
    assert isinstance(error, UnsupportedModelError)
    assert f"'output.weight' has the type {kind}, which is not supported; supported are: F32, F16," in str(error)


@pytest.mark.parametrize(("kind", "named"), [(4, "Q4_2"), (31, "Q4_0_4_4"), (36, "IQ4_NL_4_4"), (99, "99")])
def test_a_type_that_the_format_has_given_up_or_not_yet_is_named_and_not_called_damage(
    tmp_path: Path, kind: int, named: str
) -> None:
    source = tiny_gguf(tmp_path / "old.gguf")
    source.write_bytes(with_type(source.read_bytes(), "blk.0.ffn_down.weight", kind))
    error = refusal(source)
    assert isinstance(error, UnsupportedModelError)
    assert f"'blk.0.ffn_down.weight' has the type {named}, which is not supported" in str(error)


def test_a_tensor_of_a_thousand_dimensions_is_refused_by_their_number(tmp_path: Path) -> None:
    source, name = tiny_gguf(tmp_path / "wide.gguf"), b"blk.0.ffn_down.weight"
    content = source.read_bytes()
    place = content.index(name) + len(name)
    source.write_bytes(content[:place] + (1000).to_bytes(4, "little") + content[place + 4 :])
    assert str(refusal(source)).endswith("is cut off or damaged (a tensor of 1000 dimensions).")


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


@pytest.mark.parametrize(("count", "length"), [(1, 257), (5000, 250)])
def test_special_tokens_of_many_characters_are_refused(tmp_path: Path, count: int, length: int) -> None:
    """What searches texts for them takes a hundred bytes of memory a character."""
    source = with_pieces(tmp_path / "special.gguf", ["x" * length] * count, kind=3)
    # There is one more: <end>.
    assert f"up to {length} characters and {count * length + 5} together; at most 256 and 1048576" in str(
        refusal(source)
    )


def partial_bias(writer: Any) -> None:
    writer.add_tensor("blk.0.attn_q.bias", np.zeros(64, np.float32))


def more_tokens(writer: Any) -> None:
    writer.kv_data[0]["tokenizer.ggml.tokens"].value.append("beyond")


def no_end(writer: Any) -> None:
    del writer.kv_data[0]["tokenizer.ggml.eos_token_id"]


def no_template(writer: Any) -> None:
    del writer.kv_data[0]["tokenizer.chat_template"]


@pytest.mark.parametrize(
    ("add", "named"),
    [
        (partial_bias, "Only some of blk.0.attn_q, blk.0.attn_k, blk.0.attn_v have a bias"),
        (more_tokens, "has 321 tokens, but only 320 rows in the tensor token_embd.weight"),
        (no_end, "tokenizer.ggml.eos_token_id"),
        (no_template, "tokenizer.chat_template"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_written(
    tmp_path: Path, add: Callable[[Any], None], named: str
) -> None:
    assert named in str(refusal(tiny_gguf(tmp_path / "odd.gguf", add)))


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
