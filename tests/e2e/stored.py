"""What a store holds, read from a copy of its files: the server itself never lets go of the original."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path


def statuses(path: Path) -> dict[str, str]:
    """The status of every response in the store at `path`, by id."""
    with tempfile.TemporaryDirectory() as folder:
        # What is not yet in the database stands in the file beside it.
        for part in (path, path.with_name(f"{path.name}-wal")):
            if part.exists():
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as connection:
            return dict(connection.execute("SELECT id, status FROM records WHERE deleted = 0"))
