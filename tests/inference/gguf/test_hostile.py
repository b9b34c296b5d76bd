"""Whatever a GGUF file holds, it is converted, or refused in one sentence that names it: soon, and in little memory."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inference.gguf.convert import ensure_converted
from inference.model import ModelDirectory
from inference.types import ModelFileError
from tests.inference.gguf.hostile_files import CLAIMS, TOKENIZERS, folded, with_pieces
from tests.inference.gguf.test_convert import silent, tiny_gguf
from tests.support.damage import NUMBERS, Edit, damaged, edits
from tests.support.peak_memory import peak_growth

SECONDS = 5.0  # of this thread's processor time; an ordinary one of these takes 0.03
# A constant part, for rotary tables (64 MiB, twice where windows turn otherwise) and merges, and one that grows with
# the file.
MEGABYTES, MEMORY_A_BYTE = 250, 20
WRITTEN, WRITTEN_A_BYTE = 2.0e8, 10
LONGEST = 500  # characters of a sentence
BRIEF = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(BRIEF, max_examples=6000)
LENGTHS = pytest.mark.parametrize("length", [BRIEF, pytest.param(LONG, marks=pytest.mark.slow)], ids=["brief", "long"])


@pytest.fixture(scope="module", params=TOKENIZERS)
def good(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.gguf"
    return tiny_gguf(path, lambda writer: None, TOKENIZERS[request.param]).read_bytes()


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
        began, said = time.thread_time(), ""
        with peak_growth() as growth:
            try:
                ModelDirectory.open(ensure_converted(source, cache, "int4", silent, kernels=request.param))
            except ModelFileError as error:
                said = str(error)
        assert time.thread_time() - began < SECONDS
        assert growth.megabytes < MEGABYTES + len(content) * MEMORY_A_BYTE / 1e6
        assert written(cache) < WRITTEN + len(content) * WRITTEN_A_BYTE
        assert not list(cache.glob("models/.*.tmp-*")), "a conversion left something behind"
        if said:
            assert str(source) in said or str(cache) in said, f"{said} does not name the file"
            assert len(said) < LONGEST
            assert said.isprintable()
        shutil.rmtree(cache, ignore_errors=True)
        return said

    return attempt


def written(cache: Path) -> int:
    return sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_file_that_claims_much_costs_little(tmp_path: Path, convert: Callable[[bytes], str], claim: str) -> None:
    convert(CLAIMS[claim](tmp_path / "claim.gguf").read_bytes())


@LENGTHS
def test_a_damaged_file_is_converted_or_refused_by_name(
    good: bytes, places: list[int], convert: Callable[[bytes], str], length: settings
) -> None:
    assert convert(good) == ""
    refused: list[str] = []

    @length
    @given(edits(len(good), places))
    def check(changes: list[Edit]) -> None:
        refused.append(convert(damaged(good, changes)))

    check()
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
    # Seldom the long ones, which take as long as twenty others.
    contexts = st.sampled_from([128] * 24 + [1 << power for power in (9, 11, 13, 15, 16, 18, 20, 24)])

    @settings(length, max_examples=length.max_examples // 5)
    @given(
        st.dictionaries(st.sampled_from(KEYS), sizes, max_size=2),
        contexts,
        st.sampled_from(["llama", "gemma3", "phi3"]),
        st.sampled_from(list(TOKENIZERS.values())),
    )
    def check(changes: dict[str, int], context: int, architecture: str, tokenizer: Callable[[Any], None]) -> None:
        changes = {"context_length": context} | changes
        file = tiny_gguf(tmp_path / "sizes.gguf", lambda writer: None, tokenizer, architecture=architecture, **changes)
        convert(file.read_bytes())

    check()
    assert "range" in convert(tiny_gguf(tmp_path / "large.gguf", context_length=2**31).read_bytes())


@LENGTHS
def test_pieces_that_are_made_of_each_other_are_bounded(
    tmp_path: Path, convert: Callable[[bytes], str], length: settings
) -> None:
    """Runs and powers of short texts, which a vocabulary can hold in fewer bytes than their merges have."""
    runs = st.tuples(st.text("ab\u2581", min_size=1, max_size=3), st.integers(1, 600), st.booleans())
    kinds = st.sampled_from([1, 3, 4, 5, 6])

    @settings(length, max_examples=length.max_examples // 10)
    @given(st.lists(runs, min_size=1, max_size=3), kinds)
    def check(parts: list[tuple[str, int, bool]], kind: int) -> None:
        pieces = [text * times for text, most, whole in parts for times in (range(1, most) if whole else [5 * most])]
        convert(with_pieces(tmp_path / "pieces.gguf", pieces, kind).read_bytes())

    check()


@LENGTHS
def test_repeated_tensors_are_refused(tmp_path: Path, convert: Callable[[bytes], str], length: settings) -> None:
    @settings(length, max_examples=length.max_examples // 30)
    @given(st.integers(2, 300))
    def check(layers: int) -> None:
        assert "overlap" in convert(folded(tmp_path / "folded.gguf", layers).read_bytes())

    check()


@LENGTHS
def test_any_bytes_are_refused(convert: Callable[[bytes], str], length: settings) -> None:
    heads = st.sampled_from([b"", b"GGUF", b"GGUF\x03\x00\x00\x00", b"GGUF\x02\x00\x00\x00", b"GGUF\x00\x00\x00\x03"])

    @settings(length, max_examples=length.max_examples // 3)
    @given(heads, st.binary(max_size=300))
    def check(head: bytes, rest: bytes) -> None:
        assert convert(head + rest) != ""

    check()
