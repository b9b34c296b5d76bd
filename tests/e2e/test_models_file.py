"""`ANSWERD_MODELS_FILE` with real processes: two models behind one address."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import Fleet
from tests.inference.gguf.tiny_models import FAMILIES, write_model

SMALL, TINY = "small", "tiny-2.5"
FILE = """
[models.{small}]
source = "default"

[models."{tiny}"]
source = "{file}"
context = 128
slots = 2
"""


@pytest.fixture(scope="module")
def two(fleet: Fleet, pair: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server of the packaged model and a tiny one."""
    folder = tmp_path_factory.mktemp("models")
    file = write_model(folder / "tiny.gguf", FAMILIES["llama"])
    (folder / "models.toml").write_text(FILE.format(small=SMALL, tiny=TINY, file=file))
    server = fleet.start(models_file=folder / "models.toml")
    with Api(server.url) as api:
        yield api
    fleet.close(server)


def test_each_model_of_the_file_answers_under_its_name(two: Api) -> None:
    lengths = {}
    for name in (SMALL, TINY, SMALL):
        response = two.create(model=name, input="Hello there!")
        assert response["model"] == name
        assert response["usage"]["output_tokens"] > 0
        lengths[name] = response["usage"]["input_tokens"]
    # The tiny one has a token for each byte, and no template around them.
    assert lengths[TINY] == len("Hello there!") != lengths[SMALL]


@pytest.mark.parametrize("body", [{}, {"model": "default"}])
def test_the_first_one_of_the_file_is_the_default(two: Api, body: dict[str, str]) -> None:
    asked, named = two.create(**body), two.create(model=SMALL)
    assert asked["model"] == SMALL
    assert asked["usage"]["input_tokens"] == named["usage"]["input_tokens"]
    assert asked["output_text"] == named["output_text"]


def test_a_model_that_the_file_does_not_name_is_not_found(two: Api) -> None:
    for name in ("other", "tiny", "TINY-2.5"):
        reply = two.refused(model=name)
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "model_not_found")
        assert reply.json()["error"]["param"] == "model"
        assert two.http.get(f"/v1/models/{name}").status_code == 404


def test_the_models_of_the_file_are_listed_in_its_order(two: Api) -> None:
    assert [model["id"] for model in two.http.get("/v1/models").json()["data"]] == [SMALL, TINY]
    assert two.http.get(f"/v1/models/{TINY}").json()["id"] == TINY
