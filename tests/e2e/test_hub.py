"""`ANSWERD_MODEL=hf:...` with real processes, against a hub on loopback."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.e2e.api import Api
from tests.inference.gguf.tiny_models import FAMILIES, write_model
from tests.support.loopback_hub import LoopbackHub
from tests.support.server import Server, run_to_end

FILE = "tiny-Q4_0.gguf"
Begin: TypeAlias = Callable[..., Server]


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_model(tmp_path_factory.mktemp("model") / FILE, FAMILIES["llama"]).read_bytes()


@pytest.fixture
def hub(content: bytes) -> Iterator[LoopbackHub]:
    with LoopbackHub({"owner/tiny": {"README.md": b"# tiny", FILE: content}}) as hub:
        yield hub


@pytest.fixture
def environ(hub: LoopbackHub, tmp_path: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}


@pytest.fixture
def begin(environ: dict[str, str], tmp_path: Path) -> Iterator[Begin]:
    """Starts a server of a model of the hub, on caches that all of one test share."""
    with ExitStack() as servers:
        stores = itertools.count()

        def begin(model: str = "hf:owner/tiny", **variables: str) -> Server:
            store = f"sqlite:///{tmp_path / f'{next(stores)}.db'}"
            settings = {"model": model, "cache_dir": tmp_path / "cache", "store": store, "slots": 2}
            server = Server(settings, environ=environ | variables)
            servers.callback(server.close)
            return server

        yield begin


def assert_answers(server: Server) -> None:
    server.wait_until_ready()
    with Api(server.url) as api:
        assert api.create(max_output_tokens=4)["usage"]["output_tokens"] > 0


def test_a_model_of_the_hub_is_fetched_once_and_serves_later_without_the_hub(hub: LoopbackHub, begin: Begin) -> None:
    two = [begin(), begin()]
    for server in two:
        assert_answers(server)
    assert [len(hub.gets(path)) for path in (FILE, "README.md")] == [1, 0]
    assert [server.stop() for server in two] == [0, 0]
    hub.asked.clear()
    later = begin(HF_HUB_OFFLINE="1")
    assert_answers(later)
    assert hub.asked == []
    assert "downloading" not in str(later.log)


def test_a_start_that_is_stopped_in_the_middle_of_a_download_goes_on_from_there_the_next_time(
    hub: LoopbackHub, begin: Begin, content: bytes, tmp_path: Path
) -> None:
    part = len(content) * 3 // 5
    hub.stops[FILE] = part
    stopped = begin(f"hf:owner/tiny:{FILE}")
    assert hub.stopped.wait(60)
    partial = tmp_path / f"hf/hub/models--owner--tiny/blobs/{hashlib.sha256(content).hexdigest()}.incomplete"
    stopped.log.wait_for("downloading owner/tiny (0.5 MB): 50 %")
    assert stopped.stop() == 0
    assert "Traceback" not in str(stopped.log)
    kept = partial.stat().st_size
    assert 0 < kept <= part
    assert not (tmp_path / "hf/hub/models--owner--tiny/snapshots").exists()
    hub.stops.clear()
    hub.asked.clear()
    assert_answers(begin(f"hf:owner/tiny:{FILE}"))
    assert [asked.range for asked in hub.gets(FILE)] == [f"bytes={kept}-"]


@pytest.mark.parametrize(
    ("model", "offline", "reason"),
    [
        ("hf:owner/none", "0", "has no such repository or file, or it is private: then set HF_TOKEN"),
        ("hf:owner/tiny", "1", "it is not in the hub's cache on this machine, and HF_HUB_OFFLINE forbids to fetch it."),
    ],
)
def test_a_model_that_the_hub_does_not_give_is_one_sentence(
    environ: dict[str, str], tmp_path: Path, model: str, offline: str, reason: str
) -> None:
    settings = {"model": model, "cache_dir": tmp_path / "cache", "store": f"sqlite:///{tmp_path / 'x.db'}"}
    ended = run_to_end("service", settings, environ | {"HF_HUB_OFFLINE": offline})
    assert ended.returncode == 1
    sentence = ended.stdout.splitlines()[-1]
    assert sentence.startswith(f"answerd: ANSWERD_MODEL is '{model}', but ")
    assert reason in sentence
    assert "Traceback" not in ended.stdout
