"""One shell in which commands of the documentation run one after the other, as a reader types them."""

from __future__ import annotations

import os
import re
import secrets
import stat
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.docs.markdown import ROOT
from tests.support.server import Server

ASSIGNMENT = re.compile(r"(\w+)=\$\(")


def at(server: Server, text: str) -> str:
    """A text of the documentation with the default addresses replaced by those of a server."""
    return text.replace("http://127.0.0.1:8080", server.url).replace("127.0.0.1:50051", server.grpc_target)


class Ran(NamedTuple):
    """A command's exit status and everything that it printed; for an assignment, the value."""

    status: int
    output: str


class Terminal:
    """A bash in `folder`, where `.venv` is this Python's environment and `grpcurl` speaks through buf."""

    def __init__(self, folder: Path) -> None:
        (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        _write_grpcurl(folder / "bin")
        environ = os.environ | {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "HOME": str(folder)}
        self._mark = secrets.token_hex(8)
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> Ran:
        """Returns when the command has ended. Variables that it sets are there for the next one."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        assigned = ASSIGNMENT.match(command)
        show = f'\necho "${assigned[1]}"' if assigned else ""
        self._shell.stdin.write(f"{{ {command}{show}\n}} </dev/null\nprintf '\\n%s %s\\n' {self._mark} $?\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(self._mark):
                return Ran(int(line.split()[1]), "".join(lines).removesuffix("\n"))
            lines.append(line)
        raise AssertionError(f"the shell ended within {command!r}:\n" + "".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._shell:
            self._shell.kill()


def _write_grpcurl(folder: Path) -> None:
    folder.mkdir()
    program = folder / "grpcurl"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.docs.grpcurl "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
