"""The C kernels as a library, for ONNX Runtime and for sampling, compiled once for this machine's processor."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_FOLDER = Path(__file__).parent
_SOURCE = _FOLDER / "operators.c"
# No fast-math: it would change how the whole process rounds tiny numbers.
_FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-shared", "-fPIC")
_MACHINES = ("x86_64", "AMD64")
_THIS_PROCESSOR = ("-march=native",)
_SECONDS = 120


class KernelsUnavailable(Exception):
    """There are no kernels here; the text is a clause that says why, and what would help."""


def kernel_library(cache: Path, target: Sequence[str] = _THIS_PROCESSOR) -> Path:
    """The library for this machine, in `cache`, compiled if it is not there yet (2 s).

    target: the compiler's options that say for which processor. Raises KernelsUnavailable.
    """
    if platform.machine() not in _MACHINES:
        raise KernelsUnavailable(f"they are for x86-64, and this is {platform.machine()}")
    library = cache / "kernels" / f"answerd-{_digest(target)}.so"
    try:
        if not library.exists():
            library.parent.mkdir(parents=True, exist_ok=True)
            _compile(library, target)
    except OSError as error:
        raise KernelsUnavailable(f"{error.filename or library}: {error.strerror or error}") from error
    _check(library)
    return library


def find_library(cache: Path) -> Path | None:
    """The library for this machine, None where there is none."""
    try:
        return kernel_library(cache)
    except KernelsUnavailable:
        return None


def _compile(library: Path, target: Sequence[str]) -> None:
    """In a file of its own first: two processes at once do not disturb each other, nor does one that dies."""
    descriptor, name = tempfile.mkstemp(prefix=f".{library.name}.", dir=library.parent)
    os.close(descriptor)
    try:
        compiled = subprocess.run(
            [*_compiler(), *_FLAGS, *target, "-o", name, str(_SOURCE)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        if compiled.returncode:
            raise KernelsUnavailable(_reason(compiled.stderr))
        with open(name, "rb") as file:
            os.fsync(file.fileno())  # a library that a power cut emptied would kill whoever loads it
        Path(name).chmod(0o755)
        Path(name).rename(library)
    except subprocess.TimeoutExpired as error:
        raise KernelsUnavailable(f"the C compiler took more than {_SECONDS} seconds") from error
    finally:
        with suppress(FileNotFoundError):
            Path(name).unlink()


def _compiler() -> list[str]:
    """What CC says, which may have options, else the system's own."""
    for name in filter(None, (os.environ.get("CC"), "cc", "gcc", "clang")):
        words = name.split()
        if words and (found := shutil.which(words[0])):
            return [found, *words[1:]]
    raise KernelsUnavailable("there is no C compiler (install gcc or clang)")


def _reason(output: str) -> str:
    """What a compiler that fails says first."""
    for line in output.splitlines():
        if "error" in line:
            return line.rpartition("error")[2].strip(' :"')
    return "the C compiler failed"


def _check(library: Path) -> None:
    try:
        loaded = ctypes.CDLL(str(library))
        loaded.RegisterCustomOps, loaded.answerd_sample  # noqa: B018 - looks the symbols up
    except (OSError, AttributeError) as error:
        raise KernelsUnavailable(f"{library} cannot be loaded ({error}); if it is damaged, delete it") from error


def _digest(target: Sequence[str]) -> str:
    """Of all that decides what the library holds: sources, options, and what this processor can do."""
    digest = hashlib.sha256(repr((_FLAGS, tuple(target), _processor())).encode())
    for source in sorted((*_FOLDER.glob("*.c"), *_FOLDER.glob("*.h"))):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("flags"):
                return line
    return platform.processor()
