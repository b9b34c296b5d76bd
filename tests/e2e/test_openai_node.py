"""OpenAI's client for Node.js, pointed at this server: node/client.mjs has what its users do."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tests.support.npm import installed
from tests.support.replies import check_whole_stream
from tests.support.stack import running_stack

PROJECT = Path(__file__).parent / "node"
CLIENT = PROJECT / "client.mjs"
CASES = re.findall(r"^  async (\w+)\(\)", CLIENT.read_text(encoding="utf-8"), re.MULTILINE)
ANSWERS = {
    "hi": "hello",
    "person": '{"name": "Ada", "age": 36}',
    "weather?": '<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>',
    "<tool_response>\nIt rains in Oslo.\n</tool_response>": "Take a coat.",
    "endless": "x" * 50_000,
}
Results: TypeAlias = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each case came to, by its name."""
    packages = installed(PROJECT)
    folder = tmp_path_factory.mktemp("stack")
    with running_stack(folder, ANSWERS, context=60_000, default_max_output_tokens=50_000) as stack:
        ended = subprocess.run(
            ["node", str(CLIENT), stack.url, str(packages)], capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode == 0, ended.stderr
    return {result["name"]: result for result in map(json.loads, ended.stdout.splitlines())}


@pytest.mark.parametrize("case", CASES)
def test_what_users_of_the_node_client_do_works(results: Results, case: str) -> None:
    result = results[case]
    assert result["error"] is None, result["error"]
    for events in result["streams"]:
        check_whole_stream(events)


def test_the_packages_are_pinned_and_come_from_wherever_npm_is_told_to_look() -> None:
    lock = json.loads((PROJECT / "package-lock.json").read_text(encoding="utf-8"))
    wanted = json.loads((PROJECT / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = {path.rpartition("node_modules/")[2]: package for path, package in lock["packages"].items() if path}
    assert {name: packages[name]["version"] for name in wanted} == wanted
    for package in packages.values():
        assert package["integrity"]
        assert "resolved" not in package
