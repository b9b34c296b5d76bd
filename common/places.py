"""Where a user's files go by default, by the XDG base directory specification. Creates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str]) -> Path:
    return _base(environ, "XDG_CACHE_HOME", ".cache") / "answerd"


def store_url(environ: Mapping[str, str]) -> str:
    return f"sqlite:///{_base(environ, 'XDG_DATA_HOME', '.local/share') / 'answerd' / 'answerd.db'}"


def _base(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    # The specification says that a relative path in these variables must be ignored.
    named = Path(environ.get(variable, ""))
    if named.is_absolute():
        return named
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / below_home
