"""Times in JSON schemas: llguidance lets every minute have a second 60, which RFC 3339 has for leap seconds alone.

Knows which keywords of JSON Schema hold data and not schemas.
"""

from typing import Any

# Of these characters the first is the tens of the seconds; what is before them has a fixed width.
_PATTERNS = {"date-time": "^.{17}[0-5]", "time": "^.{6}[0-5]"}
_DATA = frozenset({"const", "enum", "default", "examples"})


def without_leap_seconds(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema object, changed: strings of the formats `date-time` and `time` end at second 59. No recursion."""
    waiting: list[Any] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            waiting += [each for key, each in value.items() if key not in _DATA]
            _tighten(value)
    return schema


def _tighten(node: dict[str, Any]) -> None:
    name = node.get("format")
    pattern = _PATTERNS.get(name) if isinstance(name, str) else None
    if pattern is None:
        return
    if "pattern" not in node:
        node["pattern"] = pattern
    elif isinstance(parts := node.get("allOf", []), list):
        node["allOf"] = [*parts, {"pattern": pattern}]
