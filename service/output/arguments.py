"""Where the JSON object of a call's arguments ends. It judges no JSON: whoever lets a model call sees to that."""

from __future__ import annotations


class ArgumentsScanner:
    """Follows one JSON object through its deltas."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = self._escaped = False
        self.whole = False  # whether its last brace has come

    def scan(self, text: str) -> int:
        """How many of the next characters belong to the object."""
        for place, char in enumerate(text):
            self._step(char)
            if self.whole:
                return place + 1
        return len(text)

    def _step(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif self._in_string:
            self._escaped = char == "\\"
            self._in_string = char != '"'
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            self.whole = self._depth <= 0
