"""The scheduler's decisions, written down as conversations in golden/*.txt."""

import os
from pathlib import Path

import pytest

from tests.inference.scheduler_script import replay

SCRIPTS = sorted((Path(__file__).parent / "golden").glob("*.txt"))


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 5


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_scheduler_answers_as_written(path: Path) -> None:
    """REWRITE_GOLDEN=1 writes the answers anew; the diff is the review."""
    script = path.read_text(encoding="utf-8")
    answered = replay(script)
    if os.environ.get("REWRITE_GOLDEN") == "1":
        path.write_text(answered, encoding="utf-8")
    assert answered == path.read_text(encoding="utf-8")
