"""How large the result of an operation on texts will be, from its arguments alone. It runs none of them.

Each function gives characters or items, exactly or as an upper bound; `None` in a table stands for no growth.
"""

import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inference.templates.errors import too_large
from inference.templates.sizes import count_characters

_WIDEST_FIELD = 1000


def joined(separator: str, pieces: Iterable[Any], limit: int) -> int:
    """`separator.join(map(str, pieces))`"""
    pieces = list(pieces)
    return count_characters(pieces, limit) + len(pieces) * len(separator)


def replaced(text: str, old: str, new: str) -> int:
    """`text.replace(old, new)`"""
    times = text.count(old) if old else len(text) + 1
    return len(text) + times * len(new)


def padded(text: str, width: Any) -> int:
    """`text.center(width)` and its like."""
    return max(len(text), width) if isinstance(width, int) else len(text)


def indented(text: str, width: Any) -> int:
    """The filter `indent`, whose width is a number of spaces or a text."""
    step = len(width) if isinstance(width, str) else width if isinstance(width, int) else 0
    return len(text) + (text.count("\n") + 1) * step


def percent_formatted(text: str, arguments: Any, limit: int) -> int:
    """`text % arguments`. Raises TemplateError for a field of absurd or computed width."""
    fields = text.split("%")[1:]
    for field in fields:
        flags = field[: len(field) - len(field.lstrip("#0- +.*123456789"))]
        if "*" in flags or any(width > _WIDEST_FIELD for width in _numbers(flags)):
            raise too_large()
    return len(text) + len(fields) * (count_characters(arguments, limit) + _WIDEST_FIELD)


def brace_formatted(text: str, arguments: Any, limit: int) -> int:
    """`text.format(...)`. Raises TemplateError for a field of absurd or computed width."""
    fields = 0
    for _, name, spec, _ in string.Formatter().parse(text):
        if "{" in (spec or "") or any(width > _WIDEST_FIELD for width in _numbers(spec or "")):
            raise too_large()
        fields += name is not None
    return len(text) + fields * (count_characters(arguments, limit) + _WIDEST_FIELD)


def _numbers(spec: str) -> list[int]:
    digits = "".join(character if character in string.digits else " " for character in spec)
    return [int(number[:9]) for number in digits.split()]


Expect = Callable[[str, tuple[Any, ...], Mapping[str, Any], int], int]

# Methods of texts that make more than they are given; keyword arguments stand behind the others, in their order.
METHODS: Mapping[str, Expect] = {
    "center": lambda text, args, kwargs, limit: padded(text, _first(args, kwargs)),
    "ljust": lambda text, args, kwargs, limit: padded(text, _first(args, kwargs)),
    "rjust": lambda text, args, kwargs, limit: padded(text, _first(args, kwargs)),
    "zfill": lambda text, args, kwargs, limit: padded(text, _first(args, kwargs)),
    "join": lambda text, args, kwargs, limit: joined(text, _first(args, kwargs) or (), limit),
    "replace": lambda text, args, kwargs, limit: replaced(text, *_two_texts(args)),
    "format": lambda text, args, kwargs, limit: brace_formatted(text, [*args, *kwargs.values()], limit),
}


def _first(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    return next(iter((*args, *kwargs.values())), None)


def _two_texts(args: tuple[Any, ...]) -> tuple[str, str]:
    """What is to be replaced, and by what; a call with anything else fails by itself."""
    old, new = (*args, "", "")[:2]
    return (old, new) if isinstance(old, str) and isinstance(new, str) else ("", "")
