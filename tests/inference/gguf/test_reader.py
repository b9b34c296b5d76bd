"""What opening a file costs follows from its size, and what it gives is what the format's own reader gives."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import gguf
import pytest

from inference.gguf.reader import open_gguf
from inference.types import ModelFileError
from tests.inference.gguf.test_convert import tiny_gguf

TEXTS = ["", "a", "größer", "\u2581 \n", "x" * 300]


def plain_and_bounded(path: Path, key: str) -> tuple[Any, Any]:
    plain, bounded = (reader.get_field(key) for reader in (gguf.GGUFReader(path), open_gguf(path)))
    return plain, bounded


@pytest.mark.parametrize("endian", [gguf.GGUFEndian.LITTLE, gguf.GGUFEndian.BIG])
def test_strings_are_those_of_the_formats_own_reader(tmp_path: Path, endian: gguf.GGUFEndian) -> None:
    writer = gguf.GGUFWriter(tmp_path / "texts.gguf", "llama", endianess=endian)
    writer.add_array("texts", TEXTS)
    writer.add_uint32("after", 7)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    plain, bounded = plain_and_bounded(tmp_path / "texts.gguf", "texts")
    assert bounded.contents() == plain.contents() == TEXTS
    assert bounded.contents(2) == plain.contents(2)
    assert bounded.contents(slice(1, 3)) == plain.contents(slice(1, 3))
    plain, bounded = plain_and_bounded(tmp_path / "texts.gguf", "after")
    assert bounded.contents() == plain.contents() == 7


def test_strings_that_nobody_reads_take_no_memory(tmp_path: Path) -> None:
    source = tiny_gguf(tmp_path / "junk.gguf", lambda writer: writer.add_array("junk", [""] * 100_000))
    tracemalloc.start()
    try:
        open_gguf(source)
        assert tracemalloc.get_traced_memory()[1] < 2e6
    finally:
        tracemalloc.stop()


def test_thousands_of_keys_are_refused_before_they_are_read(tmp_path: Path) -> None:
    def add(writer: Any) -> None:
        for number in range(5000):
            writer.add_uint8(f"key{number}", 0)

    with pytest.raises(ModelFileError, match=r"damaged \(50\d\d keys\)"):
        open_gguf(tiny_gguf(tmp_path / "keys.gguf", add))
