"""Damaged graphs and directories: each loads, is refused by name, or ends the process that tries it, and no other."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from inference.model import ModelDirectory
from inference.types import ModelFileError
from tests.inference.onnx.directories import save_genai, save_optimum
from tests.inference.onnx.tiny_graph import Form
from tests.support.damage import Edit, damaged, edits
from tests.support.processes import Processes

FORMS = (Form(mask=False, position_ids=False), Form(precision="int4"), Form(appends=True))
SLOW = pytest.mark.slow


@pytest.mark.parametrize("cases", [60, pytest.param(2000, marks=SLOW)])
def test_a_damaged_graph_loads_or_is_refused_or_ends_only_its_own_process(
    tmp_path: Path, processes: Processes, cases: int
) -> None:
    for number, form in enumerate(FORMS):
        (tmp_path / str(number)).mkdir()
        save_genai(tmp_path / str(number), form)
    command = [sys.executable, "-m", "tests.inference.onnx.fuzz", str(tmp_path), str(cases)]
    fuzz = processes.start(command, stdout=subprocess.PIPE)
    told, _ = fuzz.communicate()
    counted = json.loads(told)
    assert fuzz.returncode == 0
    assert counted.get("otherwise", 0) == 0, counted
    assert counted["refused"] > cases / 2
    assert counted.get("ended", 0) < cases / 50, counted


TEXTS = ("genai_config.json", "config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json")
BRIEF = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(BRIEF, max_examples=2000)


@pytest.mark.parametrize("length", [BRIEF, pytest.param(LONG, marks=SLOW)], ids=["brief", "long"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_damaged_file_of_a_directory_is_taken_or_refused_by_name(tmp_path: Path, name: str, length: settings) -> None:
    """The files beside the graph, which are read in this process."""
    whole, hostile = tmp_path / "whole", tmp_path / "hostile"
    whole.mkdir()
    if name == "genai_config.json":
        save_genai(whole, FORMS[0])
    else:
        save_optimum(whole, {"model.onnx": FORMS[0]})
    shutil.copytree(whole, hostile)
    content = (whole / name).read_bytes()

    @settings(length, max_examples=length.max_examples // len(TEXTS))
    @given(edits(len(content), range(len(content))))
    def check(changes: list[Edit]) -> None:
        (hostile / name).write_bytes(damaged(content, changes))
        try:
            opened = str(ModelDirectory.open(hostile).path)
        except ModelFileError as error:
            opened = str(error)
        assert str(hostile) in opened
        assert "\n" not in opened

    check()
