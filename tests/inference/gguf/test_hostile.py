"""Whatever a GGUF file holds, it is converted, or refused in one sentence that names it: soon, and in little memory."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.gguf.convert import ensure_converted
from inference.model import ModelDirectory
from inference.types import ModelFileError
from tests.inference.gguf.test_convert import silent, tiny_gguf
from tests.support.damage import NUMBERS, Edit, damaged, edits

SECONDS = 5.0  # of processor time; an ordinary one of these takes 0.03
MEGABYTES = 500
BRIEF = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(BRIEF, max_examples=6000)
LENGTHS = pytest.mark.parametrize("length", [BRIEF, pytest.param(LONG, marks=pytest.mark.slow)], ids=["brief", "long"])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_gguf(tmp_path_factory.mktemp("good") / "good.gguf").read_bytes()


@pytest.fixture(scope="module")
def places(good: bytes, tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Where the header's counts, lengths, types, sizes and offsets stand."""
    file = tmp_path_factory.mktemp("places") / "good.gguf"
    file.write_bytes(good)
    reader = gguf.GGUFReader(file)
    found = [0, 4, 8, 16]
    for field in [*reader.fields.values(), *(tensor.field for tensor in reader.tensors)]:
        sizes = [part.nbytes for part in field.parts[:8]]
        if field.offset >= 24:
            found += [int(field.offset + before) for before in np.cumsum([0, *sizes])]
    return found


@pytest.fixture(params=[True, False], ids=["answerd's kernels", "ONNX Runtime's"])
def convert(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], str]:
    """What comes of a file with these bytes, converted for either kernels: the sentence of its refusal, or nothing."""
    source, cache = tmp_path / "hostile.gguf", tmp_path / "cache"

    def attempt(content: bytes) -> str:
        source.write_bytes(content)
        began = time.process_time()
        try:
            ModelDirectory.open(ensure_converted(source, cache, "int4", silent, kernels=request.param))
            said = ""
        except ModelFileError as error:
            said = str(error)
        assert time.process_time() - began < SECONDS
        assert not list(cache.glob("models/.*.tmp-*")), "a conversion left something behind"
        if said:
            assert str(source) in said or str(cache) in said, f"{said} does not name the file"
            assert "\n" not in said
        return said

    return attempt


def peak_megabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@LENGTHS
def test_a_damaged_file_is_converted_or_refused_by_name(
    good: bytes, places: list[int], convert: Callable[[bytes], str], length: settings
) -> None:
    assert convert(good) == ""
    before = peak_megabytes()
    refused: list[str] = []

    @length
    @given(edits(len(good), places))
    def check(changes: list[Edit]) -> None:
        refused.append(convert(damaged(good, changes)))

    check()
    assert peak_megabytes() - before < MEGABYTES
    # Most damage is noticed; what falls into weights and texts is not.
    assert sum(map(bool, refused)) > len(refused) / 2


KEYS = (
    "block_count", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv",
    "context_length", "attention.key_length", "attention.value_length", "rope.dimension_count", "expert_count",
    "attention.sliding_window", "rope.scaling.original_context_length", "vocab_size",
)  # fmt: skip


@LENGTHS
def test_sizes_that_do_not_fit_together_are_refused_by_name(
    tmp_path: Path, convert: Callable[[bytes], str], length: settings
) -> None:
    sizes = st.sampled_from([number for number in NUMBERS if number < 2**32]) | st.integers(0, 300)

    @settings(length, max_examples=length.max_examples // 3)
    @given(
        st.dictionaries(st.sampled_from(KEYS), sizes, min_size=1, max_size=3),
        st.sampled_from(["llama", "gemma3", "phi3"]),
    )
    def check(changes: dict[str, int], architecture: str) -> None:
        convert(tiny_gguf(tmp_path / "sizes.gguf", architecture=architecture, **changes).read_bytes())

    check()
    assert "range" in convert(tiny_gguf(tmp_path / "large.gguf", context_length=2**31).read_bytes())


@LENGTHS
def test_any_bytes_are_refused(convert: Callable[[bytes], str], length: settings) -> None:
    heads = st.sampled_from([b"", b"GGUF", b"GGUF\x03\x00\x00\x00", b"GGUF\x02\x00\x00\x00", b"GGUF\x00\x00\x00\x03"])

    @settings(length, max_examples=length.max_examples // 3)
    @given(heads, st.binary(max_size=300))
    def check(head: bytes, rest: bytes) -> None:
        assert convert(head + rest) != ""

    check()
