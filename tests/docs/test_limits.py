"""The limits on sizes that CONTRIBUTING.md sets, held against every module of ours; generated code has none."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("bench", "common", "examples", "facade", "inference", "launcher", "proto", "service", "tests")
MADE_BY_TOOLS = ("bench/out/", "bench/peers/")
FILE_LIMIT, FUNCTION_LIMIT = 300, 40  # lines; both stay below


def modules() -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if "_pb2" not in path.name and not name.startswith(MADE_BY_TOOLS):
                yield path.relative_to(ROOT)


MODULES = list(modules())


def test_the_modules_are_found() -> None:
    assert {path.parts[0] for path in MODULES} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_stay_below_their_limits(folder: str) -> None:
    too_long = []
    for path in MODULES:
        if path.parts[0] == folder:
            text = (ROOT / path).read_text(encoding="utf-8")
            lines = text.count("\n")
            too_long += [f"{path} has {lines} lines"] * (lines >= FILE_LIMIT)
            too_long += [f"{path}: {name} has {length} lines" for name, length in functions(text)]
    assert too_long == []


def functions(text: str) -> list[tuple[str, int]]:
    """The functions that are too long, and how long they are, decorators not counted."""
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    lengths = [(node.name, (node.end_lineno or 0) - node.lineno + 1) for node in found]
    return [(name, length) for name, length in lengths if length >= FUNCTION_LIMIT]


C_SOURCES = sorted((ROOT / "inference" / "kernels").glob("*.[ch]"))


@pytest.mark.parametrize("path", C_SOURCES, ids=lambda path: path.name)
def test_sources_in_c_stay_below_the_same_limits(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) < FILE_LIMIT
    assert [line for line in lines if len(line) > 120] == []
    begins = [number for number, line in enumerate(lines) if line[:1].isalpha() and line.endswith("{") and "(" in line]
    ends = [lines.index("}", begin) for begin in begins]
    assert begins or path.name in ("onnxruntime.h",)
    assert [lines[begin] for begin, end in zip(begins, ends, strict=True) if end - begin + 1 >= FUNCTION_LIMIT] == []


@pytest.mark.parametrize(("lines", "found"), [(39, []), (40, [("f", 40)])])
def test_a_function_is_measured_from_its_name_to_its_end(lines: int, found: list[tuple[str, int]]) -> None:
    body = "    pass\n" * (lines - 1)
    assert functions(f"@decorated\ndef f():\n{body}") == found


def test_every_module_says_what_it_is() -> None:
    silent = [path for path in MODULES if (text := (ROOT / path).read_text(encoding="utf-8")) and not says(text)]
    assert silent == []


def says(text: str) -> bool:
    return ast.get_docstring(ast.parse(text)) is not None
