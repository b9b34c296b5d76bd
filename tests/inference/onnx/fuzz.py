"""`python -m tests.inference.onnx.fuzz FOLDER CASES`: damages the graphs of a folder's model directories and loads each
in a forked process with the bounds of a trial. Prints how many loaded, were refused, or ended their process, as JSON.

It is a process of its own because one with threads should not fork.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from inference.genai_config import ModelConfig
from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import CPU, Provider
from inference.onnx.trial import MEMORY
from inference.types import ModelFileError
from tests.inference.onnx.graph_damage import damaged_graphs
from tests.support.damage import damaged, edits

SECONDS = 5
LOADED, REFUSED, OTHERWISE = 0, 3, 4


def outcome(graph: Path, config: ModelConfig) -> str:
    """What comes of loading a graph in a process of its own, which may end in any way."""
    process = os.fork()
    if process == 0:
        status = OTHERWISE
        try:
            _bound()
            load_runner(graph, config, Provider(CPU, ""), threads=1, slots=2, context=64)
            status = LOADED
        except ModelFileError as error:
            status = REFUSED if str(error).startswith(str(graph)) else OTHERWISE
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {LOADED: "loaded", REFUSED: "refused", OTHERWISE: "otherwise"}.get(status, "ended")


def _bound() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(folder: Path, cases: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    opened = [(path, ModelDirectory.open(path).config) for path in sorted(folder.iterdir())]
    contents = {path: (path / "model.onnx").read_bytes() for path, _ in opened}

    @settings(
        max_examples=cases, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def check(data: st.DataObject) -> None:
        path, config = data.draw(st.sampled_from(opened))
        content = contents[path]
        if data.draw(st.integers(0, 3)):
            content = data.draw(damaged_graphs(content))
        else:
            content = damaged(content, data.draw(edits(len(content), range(len(content)))))
        (path / "model.onnx").write_bytes(content)
        counted[outcome(path / "model.onnx", config)] += 1

    check()
    return counted


if __name__ == "__main__":
    json.dump(main(Path(sys.argv[1]), int(sys.argv[2])), sys.stdout)
