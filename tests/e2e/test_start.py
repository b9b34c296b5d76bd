"""How a user finds the server after the start."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.api import Api
from tests.e2e.conftest import Start
from tests.support.server import Server


def test_two_starts_at_once_on_an_empty_cache_folder_convert_the_model_once_and_both_serve(
    pair: tuple[Server, Server],
) -> None:
    for server in pair:
        with Api(server.url) as api:
            assert api.create()["output_text"]
    models = pair[0].store_path.parent / "cache" / "models"
    assert len([folder for folder in models.glob("*SmolLM2*") if folder.is_dir()]) == 1
    converting = [server for server in pair if "converting the model: 100 %" in str(server.log)]
    assert len(converting) == 1


def test_the_start_says_where_it_listens_which_provider_runs_and_why(server: Server) -> None:
    assert server.url in server.log.wait_for("HTTP: listening on")
    assert server.grpc_target in server.log.wait_for("gRPC listens on")
    line = server.log.wait_for("serving SmolLM2-135M-Instruct on")
    assert "(" in line


def test_the_start_says_whose_kernels_compute(server: Server, own_kernels: Path) -> None:
    assert "with answerd's kernels" in server.log.wait_for("serving SmolLM2-135M-Instruct on")


def test_a_later_start_converts_nothing_and_a_stop_ends_with_status_0(start: Start) -> None:
    server = start()
    assert "converting" not in str(server.log)
    assert server.stop() == 0
    server.log.wait_for("answerd: stopped.")


def test_the_health_routes_answer_in_a_ready_server(api: Api) -> None:
    assert api.http.get("/livez").status_code == api.http.get("/readyz").status_code == 200
    assert api.http.get("/health").json()["service"] == "SERVING"
