"""What a store holds, read from a copy of its files: the server itself never lets go of the original."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from answerd.v1.response_pb2 import Response


def statuses(path: Path) -> dict[str, str]:
    """The status of every response in the store at `path`, by id."""
    with _copy_of(path) as connection:
        return dict(connection.execute("SELECT id, status FROM records WHERE deleted = 0"))


def response_of(path: Path, response_id: str) -> Response:
    """What the store at `path` says of one response."""
    statement = "SELECT response FROM contents JOIN records USING (seq) WHERE id = ?"
    with _copy_of(path) as connection:
        (response,) = connection.execute(statement, [response_id]).fetchone()
    return Response.FromString(response)


@contextmanager
def _copy_of(path: Path) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory() as folder:
        # What is not yet in the database stands in the file beside it.
        for part in (path, path.with_name(f"{path.name}-wal")):
            if part.exists():
                shutil.copy(part, folder)
        with closing(sqlite3.connect(Path(folder) / path.name)) as connection:
            yield connection
