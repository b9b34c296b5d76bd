"""A context is as long as the file says, unless its rotary tables alone would be larger than the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from inference.gguf.convert import ensure_converted
from inference.gguf.families import family_of
from inference.gguf.metadata import Metadata
from inference.gguf.reader import open_gguf
from inference.gguf.rope import Yarn, yarn
from inference.gguf.ropes import Ropes, read_ropes
from inference.gguf.shape import DecoderShape, read_shape
from inference.model import ModelDirectory
from tests.inference.gguf.test_convert import silent, tiny_gguf
from tests.inference.gguf.tiny_models import FAMILIES, TinyModel, write_model

ROTARY = 32  # numbers of a head in these models, all of which turn
TABLES = 1 << 26


def converted(source: Path) -> tuple[int, int]:
    """Positions and bytes of the model that comes of a file."""
    model = ModelDirectory.open(ensure_converted(source, source.parent / "cache", "float32", silent))
    return model.config.context_length, sum(path.stat().st_size for path in model.path.iterdir())


def test_a_small_file_that_claims_millions_of_positions_gets_64_megabytes_of_them(tmp_path: Path) -> None:
    context, written = converted(tiny_gguf(tmp_path / "far.gguf", context_length=1 << 24))
    assert context == TABLES // 4 // ROTARY == 524_288
    assert TABLES < written < TABLES + 2e6


def test_a_long_rope_that_no_position_would_use_is_left_out(tmp_path: Path) -> None:
    case = FAMILIES["phi3-long"]
    keys = dict(case.keys) | {"context_length": 1 << 24, "rope.scaling.original_context_length": 1 << 23}
    long = TinyModel(case.architecture, keys, hidden=case.hidden, fused=True, vectors=case.vectors)
    context, written = converted(write_model(tmp_path / "far.gguf", long))
    assert context == 524_288
    assert TABLES < written < TABLES + 4e6


def read(source: Path, table_bytes: int) -> tuple[DecoderShape, Ropes]:
    reader = open_gguf(source)
    metadata = Metadata(reader)
    shape = read_shape(metadata, family_of("llama"), 320, table_bytes)
    return shape, read_ropes(metadata, shape, {tensor.name: tensor for tensor in reader.tensors})


def test_a_context_that_was_cut_turns_like_the_whole_one(tmp_path: Path) -> None:
    """YaRN's frequencies follow from the positions that a model was trained for, not from those it can have here."""
    source = tiny_gguf(
        tmp_path / "yarn.gguf", lambda writer: writer.add_float32("llama.rope.scaling.factor", 4.0),
        context_length=1 << 20, **{"rope.scaling.type": "yarn"},
    )  # fmt: skip
    shape, ropes = read(source, 1 << 16)
    assert (shape.context, shape.trained_context) == (512, 1 << 20)
    np.testing.assert_array_equal(ropes.main.frequencies, yarn(ROTARY, 10000.0, 4.0, Yarn(1 << 20)))
    np.testing.assert_array_equal(ropes.main.frequencies, read(source, 1 << 40)[1].main.frequencies)
