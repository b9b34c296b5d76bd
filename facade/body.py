"""Reads the body of a request as one JSON object. It does not know which keys the object may have."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from aiohttp import web

from facade.errors import ApiError, malformed_json, request_too_large

# Objects and arrays within each other. Deeper ones are no request, and would exhaust the stack of whoever walks them.
MAX_DEPTH = 200
SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
JSON_TYPES = ("", "application/json")
UTF8 = ("", "utf-8", "utf8")


async def read_body(request: web.Request, limit: int, seconds: float) -> bytes:
    """The bytes of a body that says it is JSON.

    Raises ApiError for another type, for more than `limit` bytes, and if it is not there within `seconds`.
    """
    _check_content_type(request.headers)
    if request.content_length is not None and request.content_length > limit:
        raise request_too_large(limit)
    try:
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        message = f"The body of your request did not arrive within {seconds:g} seconds."
        raise ApiError("REQUEST_TIMEOUT", message) from None


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`. Raises ApiError for anything else.

    Stricter than Python's parser: UTF-8 only, no NaN or Infinity, no number too large for a double or an int of 4300
    digits, no key twice in one object, no half of a surrogate pair, at most MAX_DEPTH levels.
    """
    try:
        text = body.decode("utf-8")
        value = DECODER.decode(text)
    except (ValueError, RecursionError):
        raise malformed_json() from None
    if not isinstance(value, dict) or _too_deep(value, text):
        raise malformed_json()
    if SURROGATE.search(text):
        _refuse_lone_surrogates(value)
    return value


def _check_content_type(headers: Mapping[str, str]) -> None:
    name, _, parameters = headers.get("Content-Type", "").lower().partition(";")
    if not name.strip() and "Origin" in headers:
        # Browsers ask before a page sends JSON to another origin, but not before it sends what has no type.
        raise ApiError(
            "UNSUPPORTED_MEDIA_TYPE",
            "A request of a web page must say that it is JSON, with the header 'Content-Type: application/json'.",
        )
    charset = re.search(r"charset=\"?([^\s\";]*)", parameters)
    if name.strip() not in JSON_TYPES:
        raise ApiError(
            "UNSUPPORTED_MEDIA_TYPE",
            f"Unsupported content type '{name.strip()[:100]}'. Send JSON, with the header"
            " 'Content-Type: application/json'.",
        )
    if charset is not None and charset[1] not in UTF8:
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", f"Unsupported charset '{charset[1][:100]}'. Send JSON in UTF-8.")


def _too_deep(value: object, text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _refuse_lone_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        raise malformed_json() from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise malformed_json(f"An object in the JSON body of your request has the key '{twice[:100]}' twice.")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(text)
    return number


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
