"""A GGUF file into an ONNX directory, once: keyed by the file's hash, made in a temporary folder, then renamed.

Knows where converted models are kept. Does not know who runs them.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inference.genai_config import FILE_NAME as CONFIG_FILE
from inference.types import ModelFileError, Precision

if TYPE_CHECKING:
    from inference.gguf.checked import CheckedFile

Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""

# Part of every directory's name: a converter that writes something else makes a new directory.
CONVERTER_VERSION = 8
# Graphs in these may use the operators of inference/kernels.
KERNEL_PRECISIONS: tuple[Precision, ...] = ("int4", "int8")


def ensure_converted(
    source: Path, cache: Path, precision: Precision, progress: Progress, *, kernels: bool = False
) -> Path:
    """The directory of the converted model, made if it is not there yet; `progress` is called only then.

    int4 keeps the stored blocks (and gives 8 bits to what is stored as floating point), int8 gives everything 8 bits,
    float16 and float32 dequantise. kernels: int4 and int8 graphs use the operators of inference/kernels.
    Two processes at once wait for each other, and a process that dies leaves nothing half-made.

    Raises ModelFileError if the source or the cache cannot be used: before anything is written, unless it is weights
    that cannot be (infinite, no numbers, beyond half precision) or the disk. What was written by then is removed.
    """
    try:
        digest = _sha256(source)
        kernels = kernels and precision in KERNEL_PRECISIONS
        form = f"{precision}-kernels" if kernels else precision
        target = cache / "models" / f"{source.stem}-{form}-{digest[:16]}-v{CONVERTER_VERSION}"
        if not (target / CONFIG_FILE).is_file():
            file = _checked(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with _locked(target.parent / f".{target.name}.lock"):
                if not (target / CONFIG_FILE).is_file():
                    progress(0.0)
                    _convert(file, digest, target, precision, progress, kernels)
                    progress(1.0)
    except OSError as error:
        where = error.filename or cache
        raise ModelFileError(f"{source} cannot be converted: {error.strerror or error} ({where}).") from error
    return target


def _checked(source: Path) -> CheckedFile:
    # These imports cost a second, and only a conversion needs them.
    from inference.gguf.checked import check_file

    with _named(source):
        return check_file(source)


def _convert(
    file: CheckedFile, digest: str, target: Path, precision: Precision, progress: Progress, kernels: bool
) -> None:
    from inference.gguf.writer import write_directory

    prefix = f".{target.name}.tmp-"
    for left_over in target.parent.glob(f"{glob.escape(prefix)}*"):  # of a process that died; the lock is ours
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        with _named(file.source):
            write_directory(file, digest, temporary, precision, progress, kernels=kernels, created=int(time.time()))
        temporary.chmod(0o755)
        # A directory without its config is of no use to anybody, and a rename needs the name to be free.
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


@contextlib.contextmanager
def _named(source: Path) -> Iterator[None]:
    """Within it every refusal names the file."""
    try:
        # A weight that is infinite or no number would make every logit no number.
        with np.errstate(invalid="raise"):
            yield
    except ModelFileError as error:
        if str(source) in str(error):
            raise
        raise type(error)(f"{source}: {error}") from error
    except FloatingPointError as error:
        raise ModelFileError(f"{source} is damaged: it has weights that are infinite or no numbers.") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system frees it when that process ends, however it ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
