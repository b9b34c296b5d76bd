"""Models are fetched from a hub whole, once, and checked; what was broken off goes on where it ended."""

from __future__ import annotations

import hashlib
import itertools
import resource
import threading
from pathlib import Path

import pytest

from service.models.hub.errors import HubError
from tests.service.models.hub.conftest import GRAPH, MODEL, WEIGHTS, Machine
from tests.support.loopback_hub import BLOCK, LoopbackHub, commit_of

SHA256 = hashlib.sha256(MODEL).hexdigest()
PARTIAL = f"models--owner--gguf/blobs/{SHA256}.incomplete"


def test_a_gguf_file_is_fetched_with_progress_and_nothing_else_is(hub: LoopbackHub, machine: Machine) -> None:
    path = machine.fetch("hf:owner/gguf")
    assert (path.name, path.read_bytes()) == ("model.gguf", MODEL)
    assert {name.split("/")[1] for name in machine.files()} == {"blobs", "snapshots"}
    assert not any("README" in asked.path for asked in hub.asked)
    titles, shares = zip(*machine.shown, strict=True)
    assert set(titles) == {"downloading owner/gguf (0.2 MB)"}
    assert shares[-1] == 1.0
    assert len(set(shares)) > 2
    assert list(shares) == sorted(shares)


def test_what_is_there_is_found_without_a_request(hub: LoopbackHub, machine: Machine) -> None:
    first = machine.fetch("hf:owner/gguf")
    hub.close()
    hub.asked.clear()
    machine.shown.clear()
    assert machine.fetch("hf:owner/gguf") == machine.fetch("hf:owner/gguf:a/model.gguf") == first
    assert (hub.asked, machine.shown) == ([], [])


def test_of_an_onnx_repository_only_the_files_of_one_precision_are_fetched(hub: LoopbackHub, machine: Machine) -> None:
    directory = machine.fetch("hf:owner/onnx")
    found = {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*.*")}
    assert found == {
        "config.json": b"{}",
        "tokenizer.json": b'{"a": 1}',
        "onnx/model.onnx": GRAPH,
        "onnx/model.onnx_data": WEIGHTS,
    }
    assert machine.fetch("hf:owner/onnx", ["float16"]) == directory
    assert (directory / "onnx/model_fp16.onnx").read_bytes() == MODEL
    assert len(hub.gets("config.json")) == 1


def test_a_connection_that_is_cut_goes_on_where_it_ended(hub: LoopbackHub, machine: Machine) -> None:
    hub.cuts["a/model.gguf"] = [3 * BLOCK, 5 * BLOCK]
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
    assert [asked.range for asked in hub.gets("a/model.gguf")] == [
        "bytes=0-",
        f"bytes={3 * BLOCK}-",
        f"bytes={5 * BLOCK}-",
    ]


def test_a_download_that_fails_leaves_no_half_model_and_the_next_try_goes_on(
    hub: LoopbackHub, machine: Machine
) -> None:
    hub.cuts["a/model.gguf"] = [3 * BLOCK] * 20
    with pytest.raises(HubError, match=r"cannot be reached .* is kept, and the next try goes on from there"):
        machine.fetch("hf:owner/gguf")
    assert machine.files() == {PARTIAL: 3 * BLOCK}
    assert not (machine.folder / "records").exists()
    hub.cuts.clear()
    hub.asked.clear()
    machine.shown.clear()
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
    assert [asked.range for asked in hub.gets("a/model.gguf")] == [f"bytes={3 * BLOCK}-"]
    assert machine.shown[0][1] == pytest.approx(3 * BLOCK / len(MODEL))


def test_a_hub_that_ignores_ranges_gives_the_whole_file_again(hub: LoopbackHub, machine: Machine) -> None:
    hub.without_ranges = True
    hub.cuts["a/model.gguf"] = [3 * BLOCK]
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL


@pytest.mark.parametrize("spoilt", [MODEL[:-1] + b"x", MODEL + b"more"[::-1], b"x" + MODEL])
def test_a_file_with_another_checksum_is_never_shown_and_fetched_afresh(
    hub: LoopbackHub, machine: Machine, spoilt: bytes
) -> None:
    hub.spoilt["a/model.gguf"] = spoilt
    if spoilt.startswith(MODEL):
        # What comes behind the stated size is not read at all.
        assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
        return
    with pytest.raises(HubError, match=r"^a/model\.gguf of owner/gguf arrived without the checksum that the hub sta"):
        machine.fetch("hf:owner/gguf")
    assert machine.files() == {}
    hub.spoilt.clear()
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL


def test_a_small_file_with_another_checksum_is_refused_too(hub: LoopbackHub, machine: Machine) -> None:
    hub.spoilt["config.json"] = b"[]"
    with pytest.raises(HubError, match=r"^config\.json of owner/onnx arrived without"):
        machine.fetch("hf:owner/onnx")


def test_a_partial_file_that_is_spoilt_or_too_long_does_no_lasting_harm(hub: LoopbackHub, machine: Machine) -> None:
    partial = machine.cache / PARTIAL
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"\0" * (len(MODEL) + 1))
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
    assert [asked.range for asked in hub.gets("a/model.gguf")] == ["bytes=0-"]


def test_two_at_once_fetch_each_file_once(hub: LoopbackHub, machine: Machine) -> None:
    others = [Machine(machine.folder, hub.url) for _ in range(3)]
    threads = [threading.Thread(target=other.fetch, args=("hf:owner/onnx",)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    directory = machine.fetch("hf:owner/onnx")
    assert (directory / "onnx/model.onnx_data").read_bytes() == WEIGHTS
    assert [len(hub.gets(path)) for path in ("config.json", "onnx/model.onnx", "onnx/model.onnx_data")] == [1, 1, 1]


def test_a_newer_commit_is_taken_when_something_is_missing(hub: LoopbackHub, machine: Machine) -> None:
    directory = machine.fetch("hf:owner/onnx")
    hub.repositories["owner/onnx"]["config.json"] = b'{"new": 1}'
    assert machine.fetch("hf:owner/onnx") == directory
    newer = machine.fetch("hf:owner/onnx", ["float16"])
    assert newer.name == commit_of(hub.repositories["owner/onnx"]) != directory.name
    assert (newer / "config.json").read_bytes() == b'{"new": 1}'
    assert not (newer / "onnx/model.onnx").exists()


@pytest.mark.parametrize("path", ["../evil.gguf", "/evil.gguf", "a/../../evil.gguf", "a\\..\\evil.gguf"])
def test_names_that_lead_out_of_the_cache_are_refused(hub: LoopbackHub, machine: Machine, path: str) -> None:
    hub.repositories["owner/bad"] = {path: MODEL}
    with pytest.raises(HubError, match=r"^it lists the file '.*evil\.gguf', a name that is not safe to use here$"):
        machine.fetch("hf:owner/bad")
    assert machine.files() == {}
    assert list(machine.folder.rglob("*evil*")) == []


def test_a_model_that_the_disk_has_no_room_for_is_refused_before_it_is_fetched(
    hub: LoopbackHub, machine: Machine
) -> None:
    hub.sizes["a/model.gguf"] = 10**18
    with pytest.raises(HubError, match=r"^1000000000\.00 GB of it are still to be fetched, and .* GB of room$"):
        machine.fetch("hf:owner/gguf")
    assert hub.gets("a/model.gguf") == []


def test_a_cache_that_cannot_be_written_is_an_error_of_the_system(machine: Machine) -> None:
    machine.cache.mkdir()
    (machine.cache / "models--owner--gguf").write_bytes(b"")
    with pytest.raises(OSError, match="models--owner--gguf"):
        machine.fetch("hf:owner/gguf")


def test_a_disk_that_is_full_meanwhile_is_named_and_what_fits_is_kept(hub: LoopbackHub, machine: Machine) -> None:
    """The system's limit on file sizes is met in the same place as a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*\.incomplete'$"):
            machine.fetch("hf:owner/gguf")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (kept,) = machine.files().values()
    assert 100_000 < kept <= 150_000
    hub.asked.clear()
    assert machine.fetch("hf:owner/gguf").read_bytes() == MODEL
    assert [asked.range for asked in hub.gets("a/model.gguf")] == [f"bytes={kept}-"]


def damaged(record: str) -> str:
    return record[: len(record) // 2]


@pytest.mark.parametrize("content", ["", "[]", '{"commit": "../..", "files": {}}', "half"])
def test_a_record_that_makes_no_sense_is_made_again(machine: Machine, content: str) -> None:
    path = machine.fetch("hf:owner/gguf")
    (record,) = (machine.folder / "records").iterdir()
    whole = record.read_text()
    record.write_text(damaged(whole) if content == "half" else content)
    assert machine.fetch("hf:owner/gguf") == path
    assert record.read_text() == whole


def test_files_that_were_deleted_from_the_cache_are_fetched_again(hub: LoopbackHub, machine: Machine) -> None:
    path = machine.fetch("hf:owner/gguf")
    path.resolve().unlink()
    assert machine.fetch("hf:owner/gguf") == path
    assert path.read_bytes() == MODEL
    assert len(hub.gets("a/model.gguf")) == 2


def test_the_progress_of_several_files_is_that_of_their_bytes(machine: Machine) -> None:
    machine.fetch("hf:owner/onnx")
    shares = [share for _, share in machine.shown]
    assert all(before <= after for before, after in itertools.pairwise(shares))
    assert min(shares) < 0.01
    assert shares[-1] == 1.0


def test_what_is_fetched_lies_where_the_hubs_own_tools_find_it(machine: Machine, tmp_path: Path) -> None:
    from huggingface_hub import hf_hub_download

    path = machine.fetch("hf:owner/gguf")
    found = hf_hub_download("owner/gguf", "a/model.gguf", cache_dir=tmp_path / "cache", local_files_only=True)
    assert Path(found) == path


@pytest.mark.parametrize("source", ["hf:owner/gguf", "hf:owner/gguf:a/model.gguf"])
def test_what_the_hubs_own_tools_fetched_is_not_fetched_again(
    hub: LoopbackHub, machine: Machine, tmp_path: Path, source: str
) -> None:
    from huggingface_hub import hf_hub_download

    found = hf_hub_download("owner/gguf", "a/model.gguf", cache_dir=tmp_path / "cache", endpoint=hub.url)
    hub.asked.clear()
    before = {path: path.lstat().st_mtime_ns for path in machine.cache.rglob("*")}
    assert machine.fetch(source) == Path(found)
    assert {path: path.lstat().st_mtime_ns for path in machine.cache.rglob("*")} == before
    assert hub.gets("a/model.gguf") == []
    assert machine.shown == []


def test_what_the_hubs_own_tools_fetched_serves_without_a_hub(
    hub: LoopbackHub, machine: Machine, tmp_path: Path
) -> None:
    from huggingface_hub import hf_hub_download

    found = hf_hub_download("owner/gguf", "a/model.gguf", cache_dir=tmp_path / "cache", endpoint=hub.url)
    hub.close()
    assert machine.fetch("hf:owner/gguf") == Path(found)
    with pytest.raises(HubError, match="cannot be reached"):
        machine.fetch("hf:owner/onnx")
