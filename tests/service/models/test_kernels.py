"""Whose kernels compute a model, and what the start says of it."""

from pathlib import Path

import pytest

from common.settings import load_settings
from inference.model import ModelDirectory
from inference.onnx.provider import Provider
from inference.types import ModelFileError
from service.models.kernels import Kernels
from service.models.loading import LoadedModel, prepare_model
from service.models.spec import specs_of
from tests.inference.gguf.tiny_models import FAMILIES, write_model
from tests.inference.onnx.directories import save_genai
from tests.inference.onnx.tiny_graph import Form


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "tiny.gguf", FAMILIES["llama"])


def load(model: Path, cache: Path, kernels: str = "auto") -> LoadedModel:
    given = {"model": model, "cache_dir": cache, "context": 60, "slots": 2, "provider": "cpu", "kernels": kernels}
    settings = load_settings([], {f"ANSWERD_{name.upper()}": str(value) for name, value in given.items()})
    loaded = prepare_model(specs_of(settings)[0], settings, lambda what: lambda share: None).load()
    loaded.runner.close()
    return loaded


def test_a_gguf_model_is_computed_by_our_own_and_the_start_says_so(
    own_kernels: Path, model: Path, tmp_path: Path
) -> None:
    loaded = load(model, tmp_path / "cache")
    assert loaded.provider == "CPU (it was asked for) with answerd's kernels"
    assert loaded.directory.config.kernels


def test_without_a_compiler_the_start_says_what_would_help(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    loaded = load(model, tmp_path / "cache")
    assert loaded.provider == (
        "CPU (it was asked for) without answerd's faster kernels: there is no C compiler (install gcc or clang)"
    )
    assert not loaded.directory.config.kernels


def test_the_setting_leaves_all_to_onnx_runtime(model: Path, tmp_path: Path) -> None:
    loaded = load(model, tmp_path / "cache", kernels="off")
    assert loaded.provider == "CPU (it was asked for)"
    assert not loaded.directory.config.kernels
    assert loaded.options.kernels is None
    assert not (tmp_path / "cache" / "kernels").exists()


def test_an_onnx_directory_is_only_sampled_by_them(own_kernels: Path, tmp_path: Path) -> None:
    save_genai(tmp_path, Form())
    loaded = load(tmp_path, tmp_path / "cache")
    assert loaded.provider == "CPU (it was asked for)"
    assert loaded.options.kernels == tmp_path / "cache" / "kernels" / own_kernels.name


def test_a_directory_made_for_our_kernels_can_be_named_itself(own_kernels: Path, model: Path, tmp_path: Path) -> None:
    made: ModelDirectory = load(model, tmp_path / "cache").directory
    assert load(made.path, tmp_path / "other").provider == "CPU (it was asked for) with answerd's kernels"
    with pytest.raises(ModelFileError, match="was converted for answerd's kernels, but ANSWERD_KERNELS is off"):
        load(made.path, tmp_path / "other", kernels="off")


def test_on_cuda_they_only_sample(own_kernels: Path, model: Path, tmp_path: Path) -> None:
    made = load(model, tmp_path / "cache").directory
    settings = load_settings([], {"ANSWERD_CACHE_DIR": str(tmp_path / "cache")})
    found = Kernels.find(settings, Provider("CUDAExecutionProvider", "it was asked for"))
    assert found.library == tmp_path / "cache" / "kernels" / own_kernels.name
    with pytest.raises(ModelFileError, match="but they compute on the CPU alone"):
        found.check(made)
