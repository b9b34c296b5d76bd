"""Whether a test that a page or a table names is there. It runs none."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def is_there(name: str) -> bool:
    """name: as pytest takes it, `tests/folder/test_file.py::test_name`, or a file that has tests."""
    path, _, test = name.partition("::")
    defined = _defined(path)
    return test in defined if test else bool(defined)


@cache
def _defined(path: str) -> frozenset[str]:
    file = ROOT / path
    if not file.is_file():
        return frozenset()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    functions = [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return frozenset(name for name in functions if name.startswith("test_"))
