"""Where a user's files go by default, by the XDG base directory specification. Creates nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_SHOWN = 80  # characters of what a file or a variable says


def cache_folder(environ: Mapping[str, str]) -> Path:
    return _base(environ, "XDG_CACHE_HOME", ".cache") / "answerd"


def store_url(environ: Mapping[str, str]) -> str:
    return f"sqlite:///{_base(environ, 'XDG_DATA_HOME', '.local/share') / 'answerd' / 'answerd.db'}"


def with_home(path: Path) -> Path:
    """The path with a home directory in the place of its `~` or `~user`. Raises LookupError, a clause, if there is
    none."""
    try:
        return path.expanduser()
    except (RuntimeError, ValueError):  # of pathlib, for a user that the system does not know or that cannot be
        raise LookupError(f"{path.parts[0][:_SHOWN]!r} is nobody's home directory here") from None


def _base(environ: Mapping[str, str], variable: str, below_home: str) -> Path:
    # The specification says that a relative path in these variables must be ignored.
    named = Path(environ.get(variable, ""))
    if named.is_absolute():
        return named
    home = environ.get("HOME")
    return (Path(home) if home else Path.home()) / below_home
