"""The filters that chat templates use, each with a bound on what it makes. Jinja's others are left out.

What comes out of a filter as a generator is made at once: generators within generators would be run, and freed, by
recursion. It can be iterated once, as before.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from types import GeneratorType
from typing import Any

from jinja2.filters import FILTERS

from inference.templates import expected
from inference.templates.errors import stopped, too_large
from inference.templates.meter import Meter
from inference.templates.sizes import count_characters, count_nodes, is_container

Filter = Callable[..., Any]
Check = Callable[..., None]

# They walk once over what they are given and make no more than that.
_PLAIN = (
    "abs", "attr", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last", "length",
    "list", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr", "sort", "unique",
)  # fmt: skip
# They write out whatever they are given.
_WRITING = ("capitalize", "lower", "string", "title", "trim", "truncate", "upper", "urlencode", "wordcount")
_WIDEST_INDENT = 64
_MOST_DIGITS = 100


def bounded_filters(meter: Callable[[], Meter]) -> dict[str, Filter]:
    """All filters by name. meter: gives that of the current rendering."""
    checks: dict[str, Check] = dict.fromkeys(_PLAIN, _anything) | dict.fromkeys(_WRITING, _written)
    filters = {name: _bounded(FILTERS[name], check, meter) for name, check in {**checks, **_GROWING}.items()}
    # What they make is a text like any other; Jinja's own would mark it as HTML.
    filters |= {name: _bounded(_escaped, _written, meter) for name in ("e", "escape", "forceescape")}
    filters["safe"] = filters["string"]
    filters["join"] = _bounded(_join(meter), _anything, meter)
    filters["tojson"] = _bounded(_tojson(meter), _anything, meter)
    return filters


def bounded_test(test: Filter, meter: Callable[[], Meter]) -> Filter:
    """A test of Jinja's, which counts as an operation."""
    return _bounded(test, _anything, meter)


def made(meter: Meter, value: Any) -> Any:
    """Counts what was made. Raises TemplateError if a list holds too much, directly or through what it holds."""
    if isinstance(value, str):
        meter.expect(len(value))
        meter.tick(len(value))
    elif is_container(value):
        nodes = count_nodes(value, meter.most_nodes)
        if nodes > meter.most_nodes:
            raise too_large()
        meter.tick(nodes)
    elif isinstance(value, GeneratorType):
        return iter(list(_counted(meter, value)))
    return value


def written(meter: Meter, value: Any) -> None:
    """Before a value is turned into text."""
    if is_container(value):
        size = count_characters(value, meter.longest_text)
        meter.expect(size)
        meter.tick(size)


def _bounded(function: Filter, check: Check, meter: Callable[[], Meter]) -> Filter:
    # Jinja passes its own first argument to functions that are marked so; `wraps` keeps the mark.
    skipped = int(hasattr(function, "jinja_pass_arg"))

    @wraps(function)
    def bounded(*args: Any, **kwargs: Any) -> Any:
        current = meter()
        current.tick()
        check(current, *args[skipped:], **kwargs)
        return made(current, function(*args, **kwargs))

    return bounded


def _counted(meter: Meter, items: Iterable[Any]) -> Iterator[Any]:
    for number, item in enumerate(items):
        meter.expect(number)
        meter.tick(1)
        yield item


def _anything(meter: Meter, *args: Any, **kwargs: Any) -> None:
    """Nothing to look at before."""


def _written(meter: Meter, value: Any = "", *args: Any, **kwargs: Any) -> None:
    written(meter, value)


def _text(meter: Meter, value: Any) -> str:
    written(meter, value)
    return str(value)


def _center(meter: Meter, value: Any = "", width: Any = 80) -> None:
    meter.expect(expected.padded(_text(meter, value), width))


def _indent(meter: Meter, value: Any = "", width: Any = 4, *args: Any, **kwargs: Any) -> None:
    meter.expect(expected.indented(_text(meter, value), width))


def _replace(meter: Meter, value: Any = "", old: Any = "", new: Any = "", count: Any = None) -> None:
    meter.expect(expected.replaced(_text(meter, value), _text(meter, old), _text(meter, new)))


def _format(meter: Meter, value: Any = "", *args: Any, **kwargs: Any) -> None:
    arguments = [*args, *kwargs.values()]
    meter.expect(expected.percent_formatted(_text(meter, value), arguments, meter.longest_text))


def _pieces(meter: Meter, value: Any = (), pieces: Any = 1, *args: Any, **kwargs: Any) -> None:
    meter.expect(pieces if isinstance(pieces, int) else 0)


def _round(meter: Meter, value: Any = 0, precision: Any = 0, *args: Any, **kwargs: Any) -> None:
    if isinstance(precision, int) and abs(precision) > _MOST_DIGITS:
        raise too_large()


def _sum(meter: Meter, iterable: Any = (), attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, (int, float)):
        raise stopped("it sums up what are no numbers")


_GROWING: Mapping[str, Check] = {
    "batch": _pieces,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "replace": _replace,
    "round": _round,
    "slice": _pieces,
    "sum": _sum,
}


def _escaped(value: Any) -> str:
    return str(FILTERS["e"](str(value)))


def _join(meter: Callable[[], Meter]) -> Filter:
    @wraps(FILTERS["join"])
    def join(context: Any, value: Iterable[Any], d: Any = "", attribute: Any = None) -> Any:
        items, current = list(value), meter()
        current.expect(expected.joined(_text(current, d), items, current.longest_text))
        return FILTERS["join"](context, items, d, attribute)

    return join


def _tojson(meter: Callable[[], Meter]) -> Filter:
    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """JSON as it is: Jinja's own filter escapes <, >, & and ', which models were not trained on."""
        current = meter()
        written(current, value)
        if isinstance(indent, int) and indent > _WIDEST_INDENT:
            raise too_large()
        encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        return join_bounded(current, encoder.iterencode(value))

    return tojson


def join_bounded(meter: Meter, pieces: Iterable[str]) -> str:
    """The pieces as one text; stops as soon as it is too large."""
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        meter.expect(size)
        meter.tick(len(piece))
        kept.append(piece)
    return "".join(kept)
