"""How large values are when written out: a list that holds another twice counts it twice.

Values within very many others count as too large, since some of what Python does with them recurses without a check.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from jinja2.utils import Namespace

MAX_DEPTH = 500
_CONTAINERS = (list, tuple, set, frozenset, Mapping, Namespace)


def count_nodes(value: Any, limit: int) -> int:
    """Values within a value, itself included; somewhat more than `limit` if there are more."""
    return _walk(value, limit, texts=False)


def count_characters(value: Any, limit: int) -> int:
    """Characters of all texts within a value, and one for each value; somewhat more than `limit` if there are more."""
    return _walk(value, limit, texts=True)


def is_container(value: Any) -> bool:
    return isinstance(value, _CONTAINERS)


def _walk(value: Any, limit: int, texts: bool) -> int:
    size, waiting = 0, [iter((value,))]
    while waiting and size <= limit:
        if len(waiting) > MAX_DEPTH:
            return limit + 1
        for item in waiting[-1]:
            size += 1 + len(item) if texts and isinstance(item, str) else 1
            if isinstance(item, _CONTAINERS):
                waiting.append(iter(_contents(item)))
                break
            if size > limit:
                break
        else:
            waiting.pop()
    return size


def _contents(container: Any) -> Iterable[Any]:
    if isinstance(container, Namespace):
        return (object.__getattribute__(container, "_Namespace__attrs"),)
    if isinstance(container, Mapping):
        return chain(container.keys(), container.values())
    values: Iterable[Any] = container
    return values
