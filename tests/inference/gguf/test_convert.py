"""A conversion happens once, whole or not at all, and says in one sentence what is wrong with a file."""

import multiprocessing
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from inference.gguf.convert import ensure_converted
from inference.gguf.errors import UnsupportedModelError
from inference.model import ModelDirectory
from inference.types import ModelFileError


def silent(done: float) -> None:
    """For those who do not care how far it is."""


SHAPES = {
    "token_embd": (320, 64),
    "output_norm": (64,),
    "blk.0.attn_norm": (64,),
    "blk.0.attn_q": (64, 64),
    "blk.0.attn_k": (32, 64),
    "blk.0.attn_v": (32, 64),
    "blk.0.attn_output": (64, 64),
    "blk.0.ffn_norm": (64,),
    "blk.0.ffn_gate": (128, 64),
    "blk.0.ffn_up": (128, 64),
    "blk.0.ffn_down": (64, 128),
}


def byte_level(writer: Any, control: Sequence[str] = ()) -> None:
    """A tokenizer of 320 tokens, 257 of them of use; control: texts of further control tokens, from id 257 on."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    byte_tokens = [chr(c) if 33 <= c <= 126 else chr(256 + c) for c in range(256)]
    others = [f"t{i}" for i in range(63)]
    writer.add_token_list(["<end>", *byte_tokens, *control, *others[len(control) :]])
    writer.add_token_types([3] + [1] * 256 + [3] * len(control) + [1] * (63 - len(control)))
    writer.add_token_merges(["t 6"])


def sentencepiece(writer: Any) -> None:
    """A tokenizer of 320 tokens: bytes, and short words that are made of each other."""
    words = [
        "\u2581",
        "a",
        "b",
        *("a" * length for length in range(2, 32)),
        *("ab" * length for length in range(1, 31)),
    ]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<end>", *(f"<0x{byte:02X}>" for byte in range(256)), *words])
    writer.add_token_types([3] + [6] * 256 + [1] * 63)
    writer.add_token_scores([0.0] * 257 + [-float(place) for place in range(63)])


def tiny_gguf(
    path: Path,
    add: Callable[[Any], None] = lambda writer: None,
    tokenizer: Callable[[Any], None] = byte_level,
    /,
    **changes: Any,
) -> Path:
    """A model of one layer as the `gguf` package's own writer writes it; `changes` replace keys, `ends` the declared
    ends by theirs. add: gives the writer more than that, before anything is written."""
    architecture = changes.pop("architecture", "llama")
    ends = changes.pop("ends", {"eos": 0})
    writer = gguf.GGUFWriter(path, architecture)
    keys = {
        "block_count": 1,
        "embedding_length": 64,
        "feed_forward_length": 128,
        "attention.head_count": 2,
        "attention.head_count_kv": 1,
        "context_length": 128,
    } | changes
    for key, value in keys.items():
        if isinstance(value, str):
            writer.add_string(f"{architecture}.{key}", value)
        elif value is not None:
            writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    tokenizer(writer)
    for key, token in ends.items():
        writer.add_uint32(f"tokenizer.ggml.{key}_token_id", token)
    writer.add_chat_template("{% for message in messages %}{{ message['content'] }}{% endfor %}")
    _add_weights(writer)
    add(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_weights(writer: Any) -> None:
    rng = np.random.default_rng(0)
    tokens = len(writer.kv_data[0]["tokenizer.ggml.tokens"].value)
    for name, shape in (SHAPES | {"token_embd": (tokens, 64)}).items():
        values = rng.standard_normal(shape).astype(np.float32)
        kind = gguf.GGMLQuantizationType.Q8_0 if len(shape) == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(f"{name}.weight", gguf.quantize(values, kind), raw_dtype=kind)


def test_a_model_is_converted_once_and_the_progress_is_told(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "tiny.Q8_0.gguf")
    shares: list[float] = []
    first = ensure_converted(source, tmp_path / "cache", "int4", shares.append)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    config = ModelDirectory.open(first).config
    assert (config.name, config.num_layers, config.context_length, config.precision) == ("tiny", 1, 128, "int4")
    again: list[float] = []
    assert ensure_converted(source, tmp_path / "cache", "int4", again.append) == first
    assert again == []


def test_every_token_that_ends_a_turn_ends_the_converted_models_answers(tmp_path: Path) -> None:
    control = ("<|im_end|>", "<|call|>", "<|end|>", "<|eom|>")
    ends = {"eos": 0, "eot": 257, "eom": 260}
    source = tiny_gguf(
        tmp_path / "tiny.gguf", lambda writer: None, lambda writer: byte_level(writer, control), ends=ends
    )
    model = ModelDirectory.open(ensure_converted(source, tmp_path / "cache", "int4", silent))
    assert (model.config.eos_token_id, model.config.eos_token_ids) == (0, frozenset({0, 257, 259, 260}))


def test_another_file_of_the_same_name_is_another_model(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "tiny.gguf")
    first = ensure_converted(source, tmp_path / "cache", "int4", silent)
    tiny_gguf(source, context_length=256)
    second = ensure_converted(source, tmp_path / "cache", "int4", silent)
    assert first != second
    assert ModelDirectory.open(second).config.context_length == 256


def test_a_conversion_that_dies_leaves_nothing_that_counts_as_a_model(tmp_path: Path) -> None:
    source, cache = tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "cache"
    process = multiprocessing.get_context("spawn").Process(target=_die_half_way, args=(source, cache))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert [path.name for path in (cache / "models").iterdir() if not path.name.startswith(".")] == []
    target = ensure_converted(source, cache, "int4", silent)
    ModelDirectory.open(target)
    assert not list((cache / "models").glob(".*.tmp-*")), "what the dead process left is gone"


def _die_half_way(source: Path, cache: Path) -> None:
    ensure_converted(source, cache, "int4", lambda done: os._exit(9) if done > 0.5 else None)


def test_two_processes_at_once_get_the_same_directory(tmp_path: Path) -> None:
    source, cache = tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "cache"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.starmap(_convert, [(source, cache)] * 2)
    assert first == second
    ModelDirectory.open(first)


def _convert(source: Path, cache: Path) -> Path:
    return ensure_converted(source, cache, "int4", silent)


def test_an_error_in_the_middle_removes_what_was_written(tmp_path: Path) -> None:
    source, cache = tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "cache"

    def disk_full(done: float) -> None:
        if done > 0.5:
            raise OSError(28, "No space left on device", str(cache))

    with pytest.raises(ModelFileError, match="No space left on device"):
        ensure_converted(source, cache, "int4", disk_full)
    assert [path.suffix for path in (cache / "models").iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": "rwkv7"}, "architecture 'rwkv7'"),
        ({"rope.scaling.type": "dynamic"}, "Rope scaling \\('dynamic'\\)"),
        ({"expert_count": 8}, "Mixture-of-experts"),
    ],
)
def test_what_is_not_supported_is_refused_by_name_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    source = tiny_gguf(tmp_path / "odd.gguf", **changes)
    with pytest.raises(UnsupportedModelError, match=named):
        ensure_converted(source, tmp_path / "cache", "int4", silent)
    assert not (tmp_path / "cache").exists()


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "odd.gguf", context_length=None)
    with pytest.raises(ModelFileError, match=r"llama\.context_length"):
        ensure_converted(source, tmp_path / "cache", "int4", silent)


@pytest.mark.parametrize("size", [0, 3, 100, 5000, 60_000])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    source = tiny_gguf(tmp_path / "cut.gguf")
    os.truncate(source, size)
    with pytest.raises(ModelFileError, match=r"cut\.gguf"):
        ensure_converted(source, tmp_path / "cache", "int4", silent)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "letter.gguf"
    source.write_text("Dear Sir or Madam, " * 50)
    with pytest.raises(ModelFileError, match=r"letter\.gguf is not a sound GGUF file"):
        ensure_converted(source, tmp_path / "cache", "int4", silent)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.gguf.*No such file"):
        ensure_converted(tmp_path / "gone.gguf", tmp_path / "cache", "int4", silent)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source, blocked = tiny_gguf(tmp_path / "tiny.gguf"), tmp_path / "cache"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(ModelFileError, match=str(blocked)):
        ensure_converted(source, blocked, "int4", silent)


def test_a_directory_without_its_config_is_made_again(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "tiny.gguf")
    target = ensure_converted(source, tmp_path / "cache", "int4", silent)
    (target / "genai_config.json").unlink()
    with pytest.raises(ModelFileError):
        ModelDirectory.open(target)
    assert ModelDirectory.open(ensure_converted(source, tmp_path / "cache", "int4", silent)).path == target
