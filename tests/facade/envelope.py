"""Reads OpenAI's error envelope out of a reply."""

from typing import Any

import aiohttp


async def error_of(reply: aiohttp.ClientResponse) -> dict[str, Any]:
    """The error in a reply; raises AssertionError unless all of the envelope is there, and a request id."""
    body = await reply.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"]
    error: dict[str, Any] = body["error"]
    return error
