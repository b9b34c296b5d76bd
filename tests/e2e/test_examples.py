"""The programs in examples/ run against a server as they stand."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.server import ROOT, Server


def output_of(example: str, *arguments: str, **environ: str) -> str:
    ended = subprocess.run(
        [sys.executable, f"examples/{example}", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_the_grpc_example_streams_an_answer(server: Server) -> None:
    said = output_of("grpc_client.py", "What is", "2+2?", ANSWERD_GRPC_TARGET=server.grpc_target)
    assert "4" in said.splitlines()[0]
    assert "resp_" in said
    assert "is completed" in said


def test_the_grpc_example_says_in_one_line_what_is_wrong() -> None:
    ended = subprocess.run(
        [sys.executable, "examples/grpc_client.py"],
        cwd=ROOT,
        env={**os.environ, "ANSWERD_GRPC_TARGET": "127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("UNAVAILABLE: ")


def test_the_sdk_example_asks_streams_and_continues(server: Server) -> None:
    said = output_of("openai_sdk.py", OPENAI_BASE_URL=f"{server.url}/v1")
    one, _, rest = said.removeprefix("One answer:\n").partition("The same conversation, continued and streamed:\n")
    continued, _, stored = rest.partition("Stored, and deleted again:\n")
    # The model's own words may have any number of lines.
    assert one.strip()
    assert continued.strip()
    assert stored.strip() in ("completed", "incomplete")
