"""The HTTP API as a test calls it: plain JSON in and out, streams as lists of events, every reply checked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.support.replies import CheckedTransport
from tests.support.sse import DONE, parse_frame, parse_frames

STORY = "Write a very long story."
SECONDS = 60.0


class Stream:
    """The events of a response as they arrive."""

    def __init__(self, response: httpx2.Response) -> None:
        self.seen: list[dict[str, Any]] = []
        self._frames = _frames(response)

    @property
    def id(self) -> str:
        return str(self.seen[0]["response"]["id"])

    @property
    def text(self) -> str:
        """What was streamed so far."""
        return "".join(event["delta"] for event in self.seen if event["type"] == "response.output_text.delta")

    @property
    def end(self) -> dict[str, Any]:
        """The response that the last event carries; for a stream that was read to its end."""
        response: dict[str, Any] = self.seen[-1]["response"]
        return response

    def read(self) -> dict[str, Any]:
        """The next event."""
        event = parse_frame(next(self._frames))
        self.seen.append(event)
        return event

    def read_until(self, kind: str) -> Self:
        """Reads up to and including an event of this type."""
        while self.read()["type"] != kind:
            pass
        return self

    def read_text(self, pieces: int) -> Self:
        """Reads so many more deltas, by which the response certainly runs."""
        for _ in range(pieces):
            self.read_until("response.output_text.delta")
        return self

    def read_to_end(self) -> Self:
        for frame in self._frames:
            if frame == f"data: {DONE}":
                assert next(self._frames, None) is None, "something follows [DONE]"
                return self
            self.seen.append(parse_frame(frame))
        raise AssertionError("the stream ends without [DONE]")


def _frames(response: httpx2.Response) -> Iterator[str]:
    lines: list[str] = []
    for line in response.iter_lines():
        if line:
            lines.append(line)
        elif lines:
            if not lines[0].startswith(":"):
                yield "\n".join(lines)
            lines = []


class Api:
    """A client of one server; `key` is its API key."""

    def __init__(self, url: str, key: str | None = None) -> None:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self.http = httpx2.Client(base_url=url, transport=CheckedTransport(), timeout=SECONDS, headers=headers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def create(self, **body: Any) -> dict[str, Any]:
        """A response that was generated whole. Greedy and short unless the test says otherwise."""
        reply = self.http.post("/v1/responses", json=_filled(body))
        assert reply.status_code == 200, reply.text
        response: dict[str, Any] = reply.json()
        return response

    def get(self, response_id: str) -> dict[str, Any]:
        reply = self.http.get(f"/v1/responses/{response_id}")
        assert reply.status_code == 200, reply.text
        response: dict[str, Any] = reply.json()
        return response

    def replay(self, response_id: str, **query: int) -> list[dict[str, Any]]:
        """The events of a stored response, told again."""
        reply = self.http.get(f"/v1/responses/{response_id}", params={"stream": "true", **query})
        assert reply.status_code == 200, reply.text
        return parse_frames(reply.content)

    def refused(self, **body: Any) -> httpx2.Response:
        """The reply to a request that must not succeed."""
        reply = self.http.post("/v1/responses", json=_filled(body))
        assert reply.status_code >= 400, reply.text
        return reply

    @contextmanager
    def stream(self, **body: Any) -> Iterator[Stream]:
        """Leaving the context leaves the response."""
        with self.http.stream("POST", "/v1/responses", json=_filled(body) | {"stream": True}) as response:
            assert response.status_code == 200, response.read().decode()
            yield Stream(response)


def _filled(body: dict[str, Any]) -> dict[str, Any]:
    return {"input": "Hello!", "temperature": 0, "max_output_tokens": 8, **body}
