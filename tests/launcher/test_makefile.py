"""The commands of the Makefile, as make would run them."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def make(*words: str) -> str:
    # The tests may themselves run under make, whose variables would reach this one.
    environ = {name: os.environ[name] for name in os.environ.keys() - {"MAKEFLAGS", "MAKEOVERRIDES", "ARGS", "CUDA"}}
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    ).stdout


def test_make_alone_prints_every_command() -> None:
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    printed = make()
    assert [f"make {target}" for target in phony.split() if f"make {target} " not in printed] == []


def test_no_command_shares_its_name_with_a_folder_that_would_hide_it() -> None:
    """`proto` and `bench` are folders: make would call them up to date if they were not declared phony."""
    for target in ("proto", "bench"):
        assert "launcher.install" in make("--dry-run", target)


def test_cuda_is_installed_only_when_asked_for() -> None:
    assert "--cuda" in make("--dry-run", "run", "CUDA=1")
    assert "--cuda" not in make("--dry-run", "run")
    assert "--cuda" not in make("--dry-run", "run", "CUDA=0")


def test_arguments_reach_the_launcher() -> None:
    assert "launcher --http-port 8081" in make("--dry-run", "run", "ARGS=--http-port 8081")


def test_the_long_tests_have_a_command_of_their_own() -> None:
    assert "-m 'not slow'" in make("--dry-run", "test")
    assert "-m slow" in make("--dry-run", "test-slow")


def test_a_test_that_is_chosen_by_name_runs_even_if_it_is_long() -> None:
    assert make("--dry-run", "test", "ARGS=-m slow").rstrip().endswith("pytest -m 'not slow' -m slow")


def test_what_a_change_has_to_pass_is_two_commands() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line.startswith("make")] == ["make check", "make test"]
    assert "set -euo pipefail" in lines
    checked = make("--dry-run", "check")
    for tool in ("ruff check", "ruff format --check", "mypy", "lint-imports", "buf lint", "generate.py --check"):
        assert tool in checked
