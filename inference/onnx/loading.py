"""From a model directory to a runner that is warm: session options, memory, first calls."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime as ort

from inference.genai_config import ModelConfig
from inference.onnx.declared import declared_graph
from inference.onnx.memory import CudaMemory, HostMemory, Memory
from inference.onnx.provider import Provider
from inference.onnx.runner import OnnxRunner
from inference.onnx.sharing import can_share
from inference.quoted import printable
from inference.types import ModelFileError

logger = logging.getLogger(__name__)

_WARM_UP_TOKENS = 16
_RUNS_BEFORE_CAPTURE = 3
_SPIN_MICROSECONDS = "300"


def load_runner(
    graph: Path,
    config: ModelConfig,
    provider: Provider,
    *,
    threads: int,
    slots: int,
    context: int,
    memory: Memory | None = None,
    operators: Path | None = None,
) -> OnnxRunner:
    """A runner over `slots` x `context` positions, or fewer if the model was trained for fewer; some calls are made.

    threads: of ONNX Runtime, 0 for all cores. memory: where the cache lies, if not on the provider's device. operators:
    the library of inference/kernels, which graphs made for them need.
    Raises ModelFileError if the graph cannot be loaded or run, MemoryError if there is no room for the positions.
    """
    length = min(context, config.context_length)
    if config.kernels and operators is None:
        raise ModelFileError(f"{graph} was converted for answerd's own kernels, which are not to be had here.")

    def load(captures: bool) -> OnnxRunner:
        place = memory or (CudaMemory() if provider.is_cuda else HostMemory())
        session = _session(graph, _options(threads, operators), provider, captures)
        declared = declared_graph(session, config)
        sizes, in_place = {"slots": slots, "max_length": length}, can_share(session, declared)
        runner = OnnxRunner(session, declared, place, **sizes, in_place=in_place, captures=captures)
        _warm_up(runner, _RUNS_BEFORE_CAPTURE if captures else 1)
        return runner

    try:
        return _load_on_cuda(load) if provider.is_cuda else load(False)
    except ModelFileError as error:
        raise ModelFileError(f"{graph}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # onnxruntime's own exceptions have no common base below this one
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise ModelFileError(f"{graph} cannot be run: {printable(reason, 300)}") from error


def _load_on_cuda(load: Callable[[bool], OnnxRunner]) -> OnnxRunner:
    """With recorded decode calls if the provider takes the graph for that, else without."""
    try:
        return load(True)
    except Exception as error:
        logger.info("decode calls are not recorded: %s", error)
        return load(False)


def _options(threads: int, operators: Path | None) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Between two nodes a thread waits for some microseconds, and waking it would take as many again, hundreds of times
    # a step. Between two steps it sleeps, because the engine shares its cores with the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.intra_op.spin_duration_us", _SPIN_MICROSECONDS)
    # Ahead of time, expanding functions takes 0.1 s even where there are none; those that need it are expanded later.
    options.add_session_config_entry("session.disable_aot_function_inlining", "1")
    if operators is not None:
        options.register_custom_ops_library(str(operators))
    return options


def _session(graph: Path, options: ort.SessionOptions, provider: Provider, captures: bool) -> ort.InferenceSession:
    # The fallback would print to standard output, and load on the CPU what was to run on a device.
    return ort.InferenceSession(graph, options, [_with_options(provider, captures)], enable_fallback=0)


def _with_options(provider: Provider, captures: bool) -> str | tuple[str, dict[str, Any]]:
    if not provider.is_cuda:
        return provider.name
    return provider.name, {"device_id": 0, "enable_cuda_graph": "1" if captures else "0"}


def _warm_up(runner: OnnxRunner, decode_calls: int) -> None:
    """The first calls allocate, and record; what they write is of no sequence."""
    tokens = [0] * min(_WARM_UP_TOKENS, runner.max_length)
    runner.prefill(0, tokens, 0, rows=1)
    for _ in range(decode_calls):
        runner.decode(0, [0] * runner.slots, [0] * runner.slots)
