"""Packages of the npm registry for tests: installed once into a cache folder, as a lock file pins them.

A machine without Node.js, or one that does not reach the registry, skips the tests that need them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "npm"
OLDEST_NODE = 20
SECONDS = 60
# One try: what a registry that nobody reaches would have to be waited for, again and again, is skipped at once.
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=0", "--fetch-timeout=20000")
# How npm says that it did not reach the registry.
UNREACHABLE = re.compile(
    r"\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|E403|ENOTCACHED|ERR_SOCKET_TIMEOUT)\b"
)


def why_not() -> str | None:
    """Why nothing runs under Node.js here, or None."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "Node.js and npm are not installed"
    version = _run("node", "--version").stdout
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"Node.js {version.strip()} is older than {OLDEST_NODE}"
    return None


def installed(project: Path, cache: Path = CACHE) -> Path:
    """A folder below `cache` with the packages that `project`/package-lock.json pins. Skips the test if they cannot be
    had."""
    if reason := why_not():
        pytest.skip(reason)
    lock = (project / "package-lock.json").read_bytes()
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if not folder.exists():
        _install(project, folder)
    return folder


def _install(project: Path, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(project / name, made)
        ended = _run(*INSTALL, folder=made)
        if ended.returncode and (found := UNREACHABLE.search(ended.stderr)):
            pytest.skip(f"npm does not reach its registry ({found[0]})")
        assert ended.returncode == 0, ended.stderr
        # Another run may have been faster, with the same packages.
        with suppress(OSError):
            os.rename(made, folder)
        Path(made).mkdir(exist_ok=True)


def _run(*command: str, folder: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
