"""The Python beside the contract is what the generator makes of it, and buf has nothing to say about the contract."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import generate

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source root of its own, up to date."""
    target = tmp_path / "proto"
    shutil.copytree(ROOT / "proto", target, ignore=shutil.ignore_patterns("__pycache__"))
    return target


def test_the_committed_python_is_up_to_date() -> None:
    assert generate.differences(ROOT / "proto") == {}


def test_check_passes_on_an_up_to_date_tree_and_changes_nothing(source: Path) -> None:
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert generate.main(["--check"], source) == 0
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_check_names_a_file_that_is_edited_missing_or_left_over(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = source / "answerd/v1"
    (package / "usage_pb2.py").write_text("# edited by hand\n")
    (package / "tool_pb2.pyi").unlink()
    (package / "removed_pb2.py").touch()
    assert generate.main(["--check"], source) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "answerd/v1/removed_pb2.py",
        "answerd/v1/tool_pb2.pyi",
        "answerd/v1/usage_pb2.py",
    ]
    assert (package / "usage_pb2.py").read_text() == "# edited by hand\n"


def test_generating_repairs_what_check_complains_about(source: Path) -> None:
    package = source / "answerd/v1"
    (package / "usage_pb2.py").write_text("# edited by hand\n")
    (package / "tool_pb2.pyi").unlink()
    (package / "removed_pb2.py").touch()
    assert generate.main([], source) == 0
    assert generate.differences(source) == {}


def test_a_contract_that_does_not_compile_changes_nothing(source: Path) -> None:
    (source / "answerd/v1/usage.proto").write_text("this is no contract")
    before = (source / "answerd/v1/usage_pb2.py").read_bytes()
    with pytest.raises(RuntimeError, match="protoc failed"):
        generate.main([], source)
    assert (source / "answerd/v1/usage_pb2.py").read_bytes() == before


@pytest.mark.parametrize("command", [["lint"], ["format", "--diff", "--exit-code"]], ids=lambda command: command[0])
def test_buf_has_no_complaint(command: list[str]) -> None:
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run([buf, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
