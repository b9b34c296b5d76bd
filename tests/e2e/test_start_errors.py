"""What keeps a server from starting is said in one sentence, with a status that is not 0, and damages nothing."""

from __future__ import annotations

import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.api import Api
from tests.e2e.conftest import Fleet
from tests.support.server import HOST, Server, run_to_end, unused_port

# What is said on the way to the refusal, and by the launcher after it.
PROGRESS = ("gRPC listens", "HTTP: listening", "converting the model", "the service ended with exit status")


@pytest.fixture
def settings(fleet: Fleet, pair: object, tmp_path: Path) -> dict[str, object]:
    """Settings with which a server would start."""
    return {
        "http_port": unused_port(),
        "grpc_port": unused_port(),
        "cache_dir": fleet.cache,
        "store": f"sqlite:///{tmp_path / 'answerd.db'}",
    }


def refusal_of(module: str, settings: dict[str, object]) -> str:
    """The one sentence with which a process refuses to start."""
    ended = run_to_end(module, settings)
    assert ended.returncode not in (0, None), ended.stdout
    assert "Traceback" not in ended.stdout, ended.stdout
    said = [line.removeprefix("answerd: ") for line in ended.stdout.splitlines()]
    (sentence,) = [line for line in said if not line.startswith(PROGRESS)]
    return sentence


@pytest.mark.parametrize("variable", ["http_port", "grpc_port"])
def test_a_port_that_is_taken_is_named(settings: dict[str, object], variable: str) -> None:
    with socket.create_server((HOST, int(str(settings[variable])))):
        sentence = refusal_of("launcher", settings)
    assert sentence == f"ANSWERD_{variable.upper()}: port {settings[variable]} on {HOST} is already in use."


def test_the_service_alone_does_not_share_a_port_either(settings: dict[str, object], server: Server) -> None:
    sentence = refusal_of("service", settings | {"grpc_port": server.settings["grpc_port"]})
    assert "ANSWERD_GRPC_PORT" in sentence
    assert not Path(str(settings["store"]).removeprefix("sqlite:///")).exists()


def test_the_facade_alone_does_not_share_a_port_either(settings: dict[str, object], server: Server) -> None:
    sentence = refusal_of("facade", settings | {"http_port": server.settings["http_port"]})
    assert sentence.startswith("ANSWERD_HTTP_PORT: port ")


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"slots": "many"}, "ANSWERD_SLOTS is 'many'"),
        ({"store": "postgres://here"}, "ANSWERD_STORE"),
        ({"slot": "1"}, "ANSWERD_SLOT is not a setting"),
        ({"host": "0.0.0.0"}, "ANSWERD_API_KEYS_FILE"),
        ({"host": "0.0.0.0"}, "ANSWERD_ALLOW_REMOTE"),
    ],
)
def test_a_wrong_setting_is_named_with_what_would_be_right(
    settings: dict[str, object], wrong: dict[str, object], named: str
) -> None:
    assert named in refusal_of("launcher", settings | wrong)


def test_a_keys_file_that_cannot_be_read_is_named(settings: dict[str, object], tmp_path: Path) -> None:
    missing = tmp_path / "no-keys"
    assert str(missing) in refusal_of("service", settings | {"api_keys_file": missing})


def test_a_model_that_is_not_there_is_named(settings: dict[str, object], tmp_path: Path) -> None:
    missing = tmp_path / "model.gguf"
    assert str(missing) in refusal_of("service", settings | {"model": missing})


@pytest.mark.parametrize("length", [0, 1000, 1_000_000])
def test_a_model_file_that_is_cut_off_is_named_and_leaves_nothing_in_the_cache(
    settings: dict[str, object], tmp_path: Path, model_file: Path, length: int
) -> None:
    broken = tmp_path / "broken.gguf"
    with model_file.open("rb") as whole:
        broken.write_bytes(whole.read(length))
    cache = tmp_path / "cache"
    assert str(broken) in refusal_of("service", settings | {"model": broken, "cache_dir": cache})
    assert [path for path in cache.glob("models/*") if path.is_dir()] == []


def test_a_damaged_store_stops_the_start_and_stays_as_it_is(settings: dict[str, object], tmp_path: Path) -> None:
    damaged = tmp_path / "answerd.db"
    damaged.write_bytes(b"no database" * 1000)
    sentence = refusal_of("launcher", settings)
    assert str(damaged) in sentence
    assert damaged.read_bytes() == b"no database" * 1000


def test_the_database_of_another_program_stays_as_it_is(settings: dict[str, object], tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "answerd.db")) as connection:
        connection.execute("CREATE TABLE theirs (value TEXT)")
        connection.commit()
    before = (tmp_path / "answerd.db").read_bytes()
    assert "another program" in refusal_of("service", settings)
    assert (tmp_path / "answerd.db").read_bytes() == before


def test_a_store_that_another_server_has_open_stays_with_that_one(
    settings: dict[str, object], server: Server, api: Api
) -> None:
    stored = api.create()
    sentence = refusal_of("service", settings | {"store": server.settings["store"]})
    assert str(server.store_path) in sentence
    assert "in use" in sentence
    assert api.get(stored["id"]) == stored
    assert api.get(api.create()["id"])["status"] in ("completed", "incomplete")
