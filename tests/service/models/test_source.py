"""Where a model is looked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.types import ModelFileError
from service.models.source import check_source, find_model
from tests.service.scripted_model import a_spec


@pytest.mark.parametrize("source", [None, "default"])
def test_by_default_the_packaged_model_is_served(source: str | None) -> None:
    assert find_model(replace(a_spec(), source=source)).name == "SmolLM2-135M-Instruct.Q4_1.gguf"


def test_a_file_or_directory_is_served_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"")
    assert find_model(replace(a_spec(), source=str(file))) == file
    assert find_model(replace(a_spec(), source=str(tmp_path))) == tmp_path


def test_a_path_to_nothing_is_refused_by_name() -> None:
    spec = replace(a_spec(), source="/no/where.gguf")
    sentence = "ANSWERD_MODEL is '/no/where.gguf', but there is no such file or directory."
    for look in (check_source, find_model):
        with pytest.raises(ModelFileError) as caught:
            look(spec)
        assert str(caught.value) == sentence
