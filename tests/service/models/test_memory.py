"""What a process may have, what it has, and what a model will need."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from inference.fakes import ScriptedRunner
from service.models.memory import cache_size, memory_limit, resident, weights_size
from tests.service.scripted_model import TOKENIZER, scripted

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def grouped(root: Path, groups: str, **limits: str) -> Path:
    """A root with these control groups; limits: of a file below /sys/fs/cgroup, its slashes written as `__`."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for name, limit in limits.items():
        folder = root / "sys/fs/cgroup" / name.replace("__", "/")
        folder.mkdir(parents=True, exist_ok=True)
        file = "memory.limit_in_bytes" if name.startswith("memory") else "memory.max"
        (folder / file).write_text(f"{limit}\n")
    return root


def test_without_control_groups_the_machine_is_the_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path) == MACHINE


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("0::/\n", {".": "4096"}, 4096),
        ("0::/\n", {".": "max"}, MACHINE),
        ("0::/a/b\n", {"a": "5000", "a__b": "max"}, 5000),
        ("0::/a/b\n", {"a": "5000", "a__b": "4000"}, 4000),
        ("0::/of/the/host\n", {".": "4096"}, 4096),
        ("3:cpu:/x\n2:memory:/x\n", {"memory__x": "6000", "x": "100"}, 6000),
        ("2:memory:/x\n", {"memory": "9223372036854771712"}, MACHINE),
    ],
)
def test_the_smallest_limit_of_the_groups_counts(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    assert memory_limit(grouped(tmp_path, groups, **limits)) == expected


def test_what_is_in_memory_is_measured() -> None:
    before = resident()
    block = np.ones(30_000_000, np.uint8)
    assert resident() - before > 0.9 * len(block)


def test_weights_are_those_of_the_graph_and_of_its_external_data(tmp_path: Path) -> None:
    for name, size in (("model.onnx", 10), ("model.onnx.data", 300), ("model.onnx_data_1", 4000), ("other", 7)):
        (tmp_path / name).write_bytes(bytes(size))
    assert weights_size(tmp_path / "model.onnx") == 4310


def test_a_cache_has_keys_and_values_of_every_position_and_a_slot_more() -> None:
    config = scripted(ScriptedRunner(1, 512, TOKENIZER.vocab_size)).directory.config
    config = replace(config, num_layers=3, num_kv_heads=2, head_size=8)
    assert cache_size(config, slots=4, context=100, number_size=4) == 2 * 3 * 2 * 8 * 4 * 5 * 100
    assert cache_size(config, slots=4, context=4096, number_size=2) == 2 * 3 * 2 * 8 * 2 * 5 * 512
