"""A hub on loopback with a few repositories, and a cache that a test has for itself."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inference.types import Precision
from service.models.hub.client import HubClient
from service.models.hub.fetch import Fetcher
from service.models.hub.name import HubName
from tests.support.loopback_hub import LoopbackHub

MODEL = random.Random(1).randbytes(200_000)
GRAPH, WEIGHTS = random.Random(2).randbytes(5_000), random.Random(3).randbytes(50_000)
REPOSITORIES = {
    "owner/gguf": {"README.md": b"# a model", "a/model.gguf": MODEL, "other.txt": b"x"},
    "owner/onnx": {
        "config.json": b"{}",
        "tokenizer.json": b'{"a": 1}',
        "onnx/model.onnx": GRAPH,
        "onnx/model.onnx_data": WEIGHTS,
        "onnx/model_fp16.onnx": MODEL,
    },
}


@dataclass
class Machine:
    """A machine with a cache of its own, which fetches from one hub. shown: titles and shares of its progress."""

    folder: Path
    url: str
    shown: list[tuple[str, float]] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def fetch(self, source: str, precisions: Sequence[Precision] = ("int4", "float32")) -> Path:
        name = HubName.parse(source)
        assert name is not None
        client = HubClient(self.url, pause=0)
        return Fetcher(self.folder / "records", precisions, False, self._report, self.cache, client)(name)

    def files(self) -> dict[str, int]:
        """What the cache holds, with sizes in bytes; not what is empty, such as locks, nor what only says which
        commit is main."""
        files = {path.relative_to(self.cache).as_posix(): path for path in self.cache.rglob("*") if path.is_file()}
        return {
            name: path.stat().st_size for name, path in files.items() if path.stat().st_size and "/refs/" not in name
        }

    def _report(self, title: str) -> Callable[[float], None]:
        return lambda share: self.shown.append((title, share))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)  # whatever the developer's variables say
    with LoopbackHub(REPOSITORIES) as hub:
        yield hub


@pytest.fixture
def machine(hub: LoopbackHub, tmp_path: Path) -> Machine:
    return Machine(tmp_path, hub.url)
