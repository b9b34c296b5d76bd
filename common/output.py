"""Standard output and error that can do no harm: what cannot be written is lost, and nothing else is.

A terminal is closed, a pipe loses its reader, a disk is full: none of these may cost a request or a clean stop.
"""

from __future__ import annotations

import os
import sys
from io import FileIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # a name of the stubs only
    from _typeshed import ReadableBuffer

STDOUT, STDERR = 1, 2


class _Lossy(FileIO):
    """A descriptor that takes everything, whether or not it can be written. It stays open for others."""

    def write(self, data: ReadableBuffer) -> int:
        left = memoryview(data)
        try:
            while left and (written := super().write(left)):
                left = left[written:]
        except OSError:
            pass
        return len(data)  # type: ignore[arg-type] # TextIOWrapper gives bytes


def protect_output() -> None:
    """For the beginning of a process: from now on `sys.stdout` and `sys.stderr` raise nothing, and a line is one write.

    A character that the encoding lacks is escaped. Descriptors that the process was started without become /dev/null:
    otherwise the next file or socket gets their number, and then what libraries print.
    """
    _fill_descriptors()
    sys.stdout, sys.stderr = lossy(STDOUT, sys.stdout), lossy(STDERR, sys.stderr)


def lossy(descriptor: int, like: TextIO | None = None) -> TextIO:
    """A text stream onto an open descriptor that loses what cannot be written. like: whose encoding it has."""
    encoding = like.encoding if like is not None else "utf-8"
    raw = _Lossy(descriptor, "w", closefd=False)
    # CPython itself puts text directly onto raw files (`python -u`); no buffer, so nothing is left to fail at the exit.
    return TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=True)


def _fill_descriptors() -> None:
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
