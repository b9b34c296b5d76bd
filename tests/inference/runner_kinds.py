"""Every runner there is, for tests that hold all of them to the same contract."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnxruntime as ort
import pytest

from inference.fakes import ScriptedRunner
from inference.genai_config import ModelConfig
from inference.model import ModelDirectory
from inference.onnx.declared import declared_graph
from inference.onnx.loading import load_runner
from inference.onnx.memory import CudaMemory, Memory
from inference.onnx.provider import choose_provider
from inference.onnx.runner import OnnxRunner
from inference.runner import Runner
from inference.types import Precision
from tests.inference.onnx.fake_cuda import FakeCuda
from tests.inference.onnx.tiny_decoder import CONFIG
from tests.inference.onnx.tiny_graph import Form, save_tiny_decoder

SLOTS, LENGTH = 4, 48  # the least a factory's runner has

Converted = Callable[[Precision], ModelDirectory]


@dataclass(frozen=True)
class Models:
    """What a factory makes its runner from."""

    converted: Converted
    portable: Callable[[], ModelDirectory]
    operators: Path | None
    folder: Path

    def packaged(self, precision: Precision) -> Runner:
        """The packaged model on the CPU provider, which every machine has."""
        model = self.converted(precision)
        return self._load(model.graph_path, model.config)

    def tiny(self, form: Form, memory: Memory | None = None) -> Runner:
        save_tiny_decoder(self.folder / "model.onnx", form)
        return self._load(self.folder / "model.onnx", CONFIG, memory)

    def with_kernels(self) -> Runner:
        """Whatever the call, a row has the same result to the bit."""
        if self.operators is None:
            pytest.skip("there are no kernels here")
        return self.packaged("int4")

    def without_kernels(self) -> Runner:
        """The packaged model where there is no C compiler."""
        model = self.portable()
        return self._load(model.graph_path, model.config)

    def _load(self, graph: Path, config: ModelConfig, memory: Memory | None = None) -> Runner:
        return load_runner(
            graph,
            config,
            choose_provider("cpu"),
            threads=2,
            slots=SLOTS,
            context=LENGTH,
            memory=memory,
            operators=self.operators,
        )


@dataclass(frozen=True)
class Kind:
    name: str
    make: Callable[[Models], Runner]
    tolerance: float = 0.0
    padding: float = 0.0


def recorded(models: Models) -> Runner:
    """As where decode calls are recorded and replayed: fixed lengths, candidates in place of logits."""
    path = models.folder / "model.onnx"
    save_tiny_decoder(path, Form(mask=False, rows="asked", best=8))
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    graph = declared_graph(session, CONFIG)
    return OnnxRunner(session, graph, device(), slots=SLOTS, max_length=LENGTH, in_place=True, captures=True)


def device() -> Memory:
    """Memory that only copies reach, as on a CUDA device."""
    return CudaMemory(FakeCuda(), device="cpu")


RUNNERS = [
    Kind("scripted", lambda models: ScriptedRunner(SLOTS, LENGTH, vocab_size=50)),
    Kind("scripted, decoding differs", lambda models: ScriptedRunner(SLOTS, LENGTH, 50, decoding_differs=True), 10),
    Kind("onnx int4, answerd's kernels", lambda models: models.with_kernels()),
    Kind("onnx int4, ONNX Runtime's kernels", lambda models: models.without_kernels(), 2.0),
    Kind("onnx float16", lambda models: models.packaged("float16"), 0.25),
    Kind("tiny, attention mask", lambda models: models.tiny(Form()), 1e-4),
    Kind("tiny, on a device", lambda models: models.tiny(Form(mask=False, rows="asked"), device()), 1e-4),
    Kind("tiny, recorded", recorded, 1e-4),
    Kind("tiny, appends, on a device", lambda models: models.tiny(Form(appends=True), device()), 1e-4, 1e-4),
    Kind("tiny, appends", lambda models: models.tiny(Form(appends=True)), 1e-4, 1e-4),
    Kind("tiny, appends, int4", lambda models: models.tiny(Form("int4", appends=True)), 1e-4, 1e-4),
    Kind("tiny, appends, float16", lambda models: models.tiny(Form("float16", appends=True)), 0.1, 0.1),
    Kind("tiny, appends, no positions", lambda models: models.tiny(Form(appends=True, position_ids=False)), 1e-4, 1e-4),
    Kind("tiny, appends, one row", lambda models: models.tiny(Form(appends=True, batch=1)), 1e-4, 1e-4),
]
