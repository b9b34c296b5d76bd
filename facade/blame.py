"""Which fault of a refused request is named, and how: the first one in the client's body, by the key that stands there.

The service knows fields, not the order and the spelling in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from facade.create_request import ALIASES
from facade.errors import ApiError


def _in_words(error: ApiError, keys: Sequence[str]) -> ApiError:
    """`error`, about the first of its faults in the order of `keys`, the top-level keys that say something."""
    places = [_place(fault.param, keys) for fault in error.faults]
    if not places:
        return error
    first = min(range(len(places)), key=lambda index: places[index][0])
    fault, param = error.faults[first], places[first][1]
    return ApiError(fault.reason, fault.message, param, retry_after=error.retry_after, detail=error.detail)


@contextmanager
def clients_words(keys: Sequence[str]) -> Iterator[None]:
    """What fails within is told in the client's words: see `_in_words`."""
    try:
        yield
    except ApiError as error:
        raise _in_words(error, keys) from None


def _place(param: str, keys: Sequence[str]) -> tuple[int, str]:
    """Where the field `param` stands among `keys`, and what it is called there. What is absent comes last."""
    spelled = [
        (len(target), place, key + param[len(target) :])
        for place, key in enumerate(keys)
        if _covers(target := _field_of(key), param)
    ]
    if not spelled:
        return len(keys), param
    # The most special key: `response_format` rather than `text`.
    _, place, name = max(spelled, key=lambda found: (found[0], -found[1]))
    return place, name


def _field_of(key: str) -> str:
    return ".".join(ALIASES[key].target) if key in ALIASES else key


def _covers(field: str, param: str) -> bool:
    return param.startswith(field) and param[len(field) : len(field) + 1] in ("", ".", "[")
