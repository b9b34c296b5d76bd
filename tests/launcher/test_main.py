"""The launcher's command: what the children get, and what is refused before they start."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.settings import load_settings
from launcher.command import child_environ, main

ROOT = Path(__file__).resolve().parents[2]
WRITE_ENVIRON = "import json, os, sys; open(sys.argv[1], 'x').write(json.dumps(dict(os.environ)))"


@pytest.fixture
def environ(free_port: Callable[[], int]) -> dict[str, str]:
    own = ("ANSWERD_", "GLIBC_TUNABLES")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    ports = {"ANSWERD_HTTP_PORT": str(free_port()), "ANSWERD_GRPC_PORT": str(free_port())}
    return {**clean, **ports, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")])}


def test_flags_reach_the_children_as_variables(environ: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "environ.json"
    argv = ["--slots", "3", "--cors-origins", "https://a.example,https://b.example", "--allow-remote"]
    status = main(argv, environ, {"service": (sys.executable, "-c", WRITE_ENVIRON, str(file))})
    seen = json.loads(file.read_text(encoding="utf-8"))
    assert status == 1  # a child that ends by itself is no clean stop
    assert seen["ANSWERD_SLOTS"] == "3"
    assert seen["ANSWERD_CORS_ORIGINS"] == "https://a.example,https://b.example"
    assert seen["ANSWERD_ALLOW_REMOTE"] == "true"
    assert seen["ANSWERD_HTTP_PORT"] == environ["ANSWERD_HTTP_PORT"]


def test_weights_get_huge_pages_unless_the_user_tunes_malloc(environ: dict[str, str]) -> None:
    settings = load_settings([], {})
    assert child_environ(settings, environ)["GLIBC_TUNABLES"] == "glibc.malloc.hugetlb=1"
    own = {"GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    assert child_environ(settings, environ | own)["GLIBC_TUNABLES"] == own["GLIBC_TUNABLES"]


@pytest.mark.parametrize("setting", ["ANSWERD_HTTP_PORT", "ANSWERD_GRPC_PORT"])
def test_a_taken_port_is_refused_before_anything_starts(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], setting: str
) -> None:
    file = tmp_path / "environ.json"
    with socket.create_server(("127.0.0.1", 0)) as server:
        environ[setting] = str(server.getsockname()[1])
        status = main([], environ, {"service": (sys.executable, "-c", WRITE_ENVIRON, str(file))})
    assert status == 2
    expected = f"answerd: {setting}: port {environ[setting]} on 127.0.0.1 is already in use.\n"
    assert capsys.readouterr().err == expected
    assert not file.exists()


def test_a_wrong_setting_ends_the_command_with_one_sentence(environ: dict[str, str]) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "launcher", "--slots", "many"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("answerd: ")
    assert "ANSWERD_SLOTS" in ended.stderr


def test_an_interrupt_while_the_command_is_still_imported_shows_no_traceback(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Python finds this module in place of the one that the settings import, and it presses Ctrl-C."""
    (tmp_path / "pydantic.py").write_text("import signal; signal.raise_signal(signal.SIGINT)\n", encoding="utf-8")
    environ["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environ["PYTHONPATH"]])
    ended = subprocess.run(
        [sys.executable, "-m", "launcher"], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
