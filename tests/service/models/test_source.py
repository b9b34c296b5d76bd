"""Where a model is looked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.types import ModelFileError
from service.models.hub.errors import HubError
from service.models.hub.name import HubName
from service.models.source import check_source, find_model
from tests.service.scripted_model import a_spec


def nothing(name: HubName) -> Path:
    raise AssertionError("the hub is not asked for it")


@pytest.mark.parametrize("source", [None, "default"])
def test_by_default_the_packaged_model_is_served(source: str | None) -> None:
    assert find_model(replace(a_spec(), source=source), nothing).name == "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_file_or_directory_is_served_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"")
    assert find_model(replace(a_spec(), source=str(file)), nothing) == file
    assert find_model(replace(a_spec(), source=str(tmp_path)), nothing) == tmp_path


def test_a_path_to_nothing_is_refused_by_name() -> None:
    spec = replace(a_spec(), source="/no/where.gguf")
    sentence = "ANSWERD_MODEL is '/no/where.gguf', but there is no such file or directory."
    with pytest.raises(ModelFileError) as caught:
        check_source(spec)
    assert str(caught.value) == sentence
    with pytest.raises(ModelFileError) as caught:
        find_model(spec, nothing)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("source", "user"), [("~nobody-here/m.gguf", "~nobody-here"), ("~\0\n/m", r"~\x00\n"), ("~" + "n" * 999, "~nnn")]
)
def test_the_home_of_a_user_that_there_is_not_is_refused_in_one_sentence(source: str, user: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        check_source(replace(a_spec(), source=source))
    assert str(caught.value).startswith("ANSWERD_MODEL is '~")
    assert f"but '{user}" in str(caught.value)
    assert str(caught.value).endswith("is nobody's home directory here.")
    assert str(caught.value).isprintable()


def test_a_home_directory_is_put_in_for_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "model.gguf").write_bytes(b"")
    assert find_model(replace(a_spec(), source="~/model.gguf"), nothing) == tmp_path / "model.gguf"


def test_a_name_of_the_hub_is_given_to_whoever_fetches(tmp_path: Path) -> None:
    spec = replace(a_spec(), source="hf:owner/name:model.gguf")
    asked: list[HubName] = []

    def fetch(name: HubName) -> Path:
        asked.append(name)
        return tmp_path

    check_source(spec)
    assert asked == []
    assert find_model(spec, fetch) == tmp_path
    assert asked == [HubName("owner/name", "model.gguf")]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (HubError("it is gated"), "it is gated"),
        (OSError(28, "No space left on device", "/c/x"), "it cannot be kept: No space left on device (/c/x)"),
    ],
)
def test_why_it_cannot_be_fetched_is_one_sentence(error: Exception, reason: str) -> None:
    def fetch(name: HubName) -> Path:
        raise error

    with pytest.raises(ModelFileError) as caught:
        find_model(replace(a_spec(), source="hf:owner/name"), fetch)
    assert str(caught.value) == f"ANSWERD_MODEL is 'hf:owner/name', but {reason}."


def test_a_wrong_form_is_refused_before_anything_starts() -> None:
    with pytest.raises(ModelFileError, match=r"^ANSWERD_MODEL is 'hf:name', but the form is hf:owner/name or hf:"):
        check_source(replace(a_spec(), source="hf:name"))
