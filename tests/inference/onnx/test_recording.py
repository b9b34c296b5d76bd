"""Decode calls that can be recorded: the same addresses and shapes in every call over the same slots, and a number."""

from pathlib import Path
from typing import Any

import onnxruntime as ort
import pytest

from inference.onnx.declared import declared_graph
from inference.onnx.memory import CudaMemory
from inference.onnx.runner import OnnxRunner
from tests.inference.onnx.fake_cuda import FakeCuda
from tests.inference.onnx.tiny_decoder import CONFIG
from tests.inference.onnx.tiny_graph import Form, save_tiny_decoder

RECORDABLE = Form(mask=False, position_ids=False, rows="asked", best=8)


class ObservedSession:
    """A session that notes what is bound, and the number under which a call is recorded."""

    def __init__(self, path: Path) -> None:
        self._session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.bound: list[str] = []
        self.recorded: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def io_binding(self) -> Any:
        binding = self._session.io_binding()
        for kind in ("bind_input", "bind_output"):
            setattr(binding, kind, self._noted(getattr(binding, kind)))
        return binding

    def run_with_iobinding(self, binding: Any, options: ort.RunOptions) -> None:
        self.recorded.append(options.get_run_config_entry("gpu_graph_id"))
        self._session.run_with_iobinding(binding, options)

    def _noted(self, bind: Any) -> Any:
        def noted(name: str, *place: Any) -> None:
            self.bound.append(name)
            bind(name, *place)

        return noted


@pytest.fixture
def session(tmp_path: Path) -> ObservedSession:
    save_tiny_decoder(tmp_path / "model.onnx", RECORDABLE)
    return ObservedSession(tmp_path / "model.onnx")


@pytest.fixture
def runner(session: ObservedSession) -> OnnxRunner:
    memory = CudaMemory(FakeCuda(), device="cpu")
    graph = declared_graph(session, CONFIG)
    return OnnxRunner(session, graph, memory, slots=4, max_length=48, in_place=True, captures=True)


@pytest.mark.parametrize("best", [None, 1])
def test_a_decode_call_over_the_same_slots_binds_nothing_anew(
    session: ObservedSession, runner: OnnxRunner, best: int | None
) -> None:
    """Whatever was decoded, read and verified in between."""
    runner.decode(0, [3, 4, 5], [0, 0, 0], best)
    runner.prefill(1, [3] * 40, 0, 40)
    runner.decode(1, [3, 4], [40, 1], best)
    session.bound.clear()
    runner.decode(0, [6, 7, 8], [1, 41, 2], best)
    assert session.bound == []


def test_each_block_of_slots_is_recorded_under_its_own_number_and_prompts_are_not(
    session: ObservedSession, runner: OnnxRunner
) -> None:
    for _ in range(2):
        runner.decode(0, [3, 4], [0, 0])
        runner.decode(0, [3, 4], [0, 0], best=1)
        runner.decode(1, [3, 4], [0, 0])
    assert session.recorded[:3] == session.recorded[3:]
    assert len({*session.recorded, "-1", "0"}) == 5
    session.recorded.clear()
    runner.prefill(0, [3, 4], 0, 1)
    runner.prefill(0, [3, 4], 0, 0)
    assert session.recorded == ["-1", "-1"]


@pytest.mark.parametrize("form", [Form(), Form(mask=False), Form(appends=True)])
def test_a_graph_whose_shapes_follow_the_lengths_is_not_recorded(tmp_path: Path, form: Form) -> None:
    save_tiny_decoder(tmp_path / "model.onnx", form)
    session = ObservedSession(tmp_path / "model.onnx")
    graph = declared_graph(session, CONFIG)
    memory = CudaMemory(FakeCuda(), device="cpu")
    runner = OnnxRunner(session, graph, memory, slots=4, max_length=48, in_place=not form.appends, captures=True)
    runner.decode(0, [3, 4], [0, 0])
    assert session.recorded == ["-1"]
