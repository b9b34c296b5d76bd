"""Loads a graph in a process of its own before this one does, once: a file that nobody vouches for can make ONNX
Runtime abort, run for ever or fill the memory, and then that process ends instead.

`python -m inference.onnx.trial` is that process.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
import resource
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import onnxruntime as ort

from inference.genai_config import ModelConfig
from inference.onnx.provider import Provider
from inference.types import ModelFileError

REFUSED = 3
# What a graph may take beyond its files, and how many times their size: weights are read, then laid out anew.
SECONDS, BYTES_A_SECOND = 60.0, 20e6
MEMORY, COPIES = 4 << 30, 4
_ROOT = Path(__file__).resolve().parents[2]
_TOKENS = 64
_PR_SET_PDEATHSIG = 1  # prctl(2)


def ensure_tried(
    graph: Path, config: ModelConfig, provider: Provider, cache: Path, operators: Path | None = None
) -> int:
    """Tries a graph unless the same files were tried before; `cache` remembers. Raises ModelFileError.

    operators: as `load_runner` takes them. Gives what `try_graph` does.
    """
    mark = cache / "tried" / _digest(graph, provider, operators)
    with suppress(OSError, ValueError):
        return int(mark.read_text(encoding="ascii"))
    number_size = try_graph(graph, config, provider, operators=operators)
    with suppress(OSError):  # then it is tried again the next time
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(str(number_size), encoding="ascii")
    return number_size


def try_graph(
    graph: Path,
    config: ModelConfig,
    provider: Provider,
    seconds: float | None = None,
    memory: int | None = None,
    operators: Path | None = None,
) -> int:
    """The bytes of one number of the graph's cache. Raises ModelFileError, one sentence that names the file, if the
    graph does not load and run in another process.

    seconds, memory (bytes of address space, on the CPU only): what it may take; by the size of the files if not given.
    """
    size = sum(path.stat().st_size for path in _files(graph))
    seconds = seconds or SECONDS + size / BYTES_A_SECOND
    task = pickle.dumps((graph, config, provider, memory or MEMORY + COPIES * size, operators))
    paths = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        ended = subprocess.run(
            [sys.executable, "-m", "inference.onnx.trial"],
            input=task,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths},
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"{graph} does not load and run within {seconds:.0f} seconds.") from error
    if ended.returncode == REFUSED:
        raise ModelFileError(ended.stdout.decode(errors="replace"))
    if ended.returncode != 0:
        blamed = (
            "answerd's kernels may be at fault: try ANSWERD_KERNELS=off"
            if config.kernels
            else "it is damaged or no model"
        )
        raise ModelFileError(f"{graph} makes ONNX Runtime crash ({_how(ended.returncode)}): {blamed}.")
    return int(ended.stdout.splitlines()[-1])  # whatever a library has printed before


def main() -> int:
    """Reads the task from standard input; what was found, or the reason for a refusal, goes to standard output."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    graph, config, provider, memory, operators = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own process
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not provider.is_cuda:  # a driver reserves more address space than there is memory
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    from inference.onnx.loading import load_runner

    try:
        runner = load_runner(graph, config, provider, threads=1, slots=2, context=_TOKENS, operators=operators)
    except ModelFileError as error:
        sys.stdout.write(str(error))
        return REFUSED
    sys.stdout.write(f"{runner.number_size}\n")
    runner.close()
    return 0


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"


def _files(graph: Path) -> list[Path]:
    """The graph and what lies beside it, among which are its weights."""
    return sorted(path for path in graph.parent.iterdir() if path.is_file())


def _digest(graph: Path, provider: Provider, operators: Path | None) -> str:
    seen = [(str(path), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in _files(graph)]
    return hashlib.sha256(
        repr((str(graph), seen, provider.name, ort.__version__, *([str(operators)] if operators else []))).encode()
    ).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
