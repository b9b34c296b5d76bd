"""A model is served where its weights and one slot have room; where full slots would not, the start says so."""

from dataclasses import replace
from pathlib import Path

import pytest

from common.settings import Settings
from inference.types import ModelFileError
from service.models.loading import PreparedModel, prepare_model
from service.models.need import Need
from service.models.spec import specs_of
from tests.inference.onnx.directories import save_genai
from tests.inference.onnx.tiny_graph import Form
from tests.service.scripted_model import a_spec
from tests.service.served import catalogue

GIGABYTE = 10**9
SPEC = replace(a_spec(slots=16, context=4096), source="m.gguf")


def test_weights_and_one_slot_that_fit_are_enough() -> None:
    need = Need(weights=600, cache=1700, slot=100, limit=700)
    need.check(SPEC)
    assert need.total() == need.total(weights=650) == 700
    assert replace(need, limit=5000).total() == 2300
    assert replace(need, limit=5000).total(weights=650) == 2350


def test_a_model_of_which_not_one_slot_fits_is_refused_in_one_sentence() -> None:
    need = Need(weights=15 * GIGABYTE // 10, cache=51 * GIGABYTE // 10, slot=3 * GIGABYTE // 10, limit=GIGABYTE)
    with pytest.raises(ModelFileError) as caught:
        need.check(SPEC)
    assert str(caught.value) == (
        "ANSWERD_MODEL is 'm.gguf', but its weights take 1.50 GB and one slot of 4096 tokens 0.30 GB, and there are"
        " 1.00 GB of memory: choose a shorter context (ANSWERD_CONTEXT) or a smaller model."
    )


def test_a_cache_that_may_outgrow_the_memory_is_told_with_the_settings() -> None:
    need = Need(weights=GIGABYTE // 10, cache=325 * GIGABYTE // 100, slot=GIGABYTE // 5, limit=2 * GIGABYTE)
    assert need.shortage(SPEC) == (
        "The cache of 16 slots of 4096 tokens may grow to 3.25 GB, and there are 2.00 GB of memory: fewer slots"
        " (ANSWERD_SLOTS) or a shorter context (ANSWERD_CONTEXT) keep it within them."
    )
    assert replace(need, limit=4 * GIGABYTE).shortage(SPEC) is None


def prepared(directory: Path, memory: int, slots: int = 1000) -> PreparedModel:
    settings = Settings(model=str(directory), cache_dir=directory / "cache", context=60, threads=1, provider="cpu")
    spec = replace(specs_of(settings)[0], slots=slots)
    return prepare_model(spec, settings, lambda what: lambda share: None, lambda: memory)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    save_genai(tmp_path, Form())
    return tmp_path


@pytest.fixture
def memory(directory: Path) -> int:
    """A byte less than the model takes with all of its slots full."""
    return prepared(directory, 2**40).needs - 1


def test_a_model_whose_full_cache_has_no_room_is_loaded_and_says_so(directory: Path, memory: int) -> None:
    loaded = prepared(directory, memory).load()
    loaded.runner.close()
    assert loaded.memory == memory
    assert loaded.shortage is not None
    assert "ANSWERD_SLOTS" in loaded.shortage
    assert "ANSWERD_CONTEXT" in loaded.shortage


async def test_a_model_whose_full_cache_has_no_room_is_served(directory: Path, memory: int) -> None:
    models, served = catalogue([a_spec()], lambda spec, report: prepared(directory, memory), memory=memory)
    await models.start()
    assert len(served) == 1
    await models.close()


def test_a_model_of_which_one_slot_has_no_room_is_refused_before_it_is_loaded(directory: Path) -> None:
    least = prepared(directory, 2**40, slots=0).needs  # the spare slot alone is as large as one
    assert prepared(directory, least).needs == least
    with pytest.raises(ModelFileError, match="ANSWERD_CONTEXT"):
        prepared(directory, least - 1)


def test_a_cache_that_the_system_refuses_is_one_sentence(directory: Path) -> None:
    with pytest.raises(ModelFileError) as caught:
        prepared(directory, 2**60, slots=2**38).load()  # more than a process can address
    assert "choose fewer slots (ANSWERD_SLOTS) or a shorter context (ANSWERD_CONTEXT)" in str(caught.value)
