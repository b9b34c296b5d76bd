"""Nothing that tests of the API read escapes the checkers: no client is made in another way than the watched ones.

A client that is not watched stands below, with its reason.
"""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
# What makes a client, and what must stand on the same line.
CLIENTS = {
    r"\baiohttp\.ClientSession\(": "response_class=CheckedReply",
    r"\bhttpx2\.Client\(": "transport=CheckedTransport()",
    r"\bhttpx2\.AsyncClient\(": "transport=CheckedAsyncTransport()",
    r"\b(Async)?OpenAI\(": "http_client=",
    r"\binsecure_channel\(": "WatchedChannel(",
}
UNWATCHED = {
    "support/server.py": "asks /readyz",
    "bench/test_sse_client.py": "reads what a fake of another server sends",
    "support/watched_channel.py": "makes the watched channel",
    "proto/test_service.py": "spells words in events",
    "docs/test_tables.py": "asks which methods are there",
    "service/raw_calls.py": "sends bytes that are no messages",
}


def unwatched(text: str) -> list[str]:
    """The lines that make a client whose replies nobody checks."""
    return [
        line.strip()
        for line in text.splitlines()
        for made, needed in CLIENTS.items()
        if re.search(made, line) and needed not in line
    ]


def test_every_client_is_watched() -> None:
    found = {path.relative_to(TESTS).as_posix(): unwatched(path.read_text()) for path in sorted(TESTS.rglob("*.py"))}
    found.pop("support/test_watch.py")
    assert {path: lines for path, lines in found.items() if lines and path not in UNWATCHED} == {}
    assert all(found[path] for path in UNWATCHED), "an exception outlives its reason"


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("http = httpx2.Client(timeout=3)", 1),
        ("http = httpx2.Client(timeout=3, transport=CheckedTransport())", 0),
        ("async with grpc.aio.insecure_channel(address) as channel:", 1),
        ("channel = WatchedChannel(grpc.insecure_channel(target))", 0),
    ],
)
def test_a_client_that_nobody_watches_is_found(line: str, count: int) -> None:
    assert len(unwatched(line)) == count
