"""How a model of the hub is written in the settings."""

import pytest

from service.models.hub.errors import HubError
from service.models.hub.name import HubName


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("hf:owner/name", HubName("owner/name")),
        ("hf:onnx-community/Qwen3-0.6B_x.1", HubName("onnx-community/Qwen3-0.6B_x.1")),
        ("hf:owner/name:model.Q4_0.gguf", HubName("owner/name", "model.Q4_0.gguf")),
        ("hf:owner/name:cpu/int4", HubName("owner/name", "cpu/int4")),
        ("hf:owner/name:cpu/int4/", HubName("owner/name", "cpu/int4")),
    ],
)
def test_a_repository_has_an_owner_and_may_have_a_file_or_folder(source: str, name: HubName) -> None:
    assert HubName.parse(source) == name


@pytest.mark.parametrize("source", ["default", "/models/hf:owner/name", "./hf:x", "HF:owner/name"])
def test_other_sources_are_not_of_the_hub(source: str) -> None:
    assert HubName.parse(source) is None


@pytest.mark.parametrize("repository", ["", "name", "a/b/c", "../name", "owner/..", "a--b/c", "a/b--c", "a/-b", "a /b"])
def test_a_repository_without_owner_or_with_other_signs_is_refused(repository: str) -> None:
    with pytest.raises(HubError, match="the form is hf:owner/name"):
        HubName.parse(f"hf:{repository}")


@pytest.mark.parametrize("file", ["", "../x.gguf", "a/../../x.gguf", "/etc/passwd", "a//b", "./a", "a\\b", "a\0b"])
def test_a_file_that_leads_out_of_the_repository_is_refused(file: str) -> None:
    with pytest.raises(HubError, match="file is a path in the repository"):
        HubName.parse(f"hf:owner/name:{file}")
