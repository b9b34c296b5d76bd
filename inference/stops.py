"""Finds stop texts in a stream of text and holds back what may become one. It knows no tokens."""

from collections.abc import Iterable


class StopMatcher:
    """Passes text on up to the first stop text.

    The first stop text is the one that is complete first, and of those complete with the same character the
    longest; so what is passed on does not depend on how the text is cut into pieces.
    """

    __slots__ = ("_held", "_reach", "_starts", "_stops", "matched")

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._starts = frozenset(stop[0] for stop in self._stops)
        self._reach = max(map(len, self._stops), default=1) - 1
        self._held = ""
        self.matched = False

    def push(self, text: str) -> str:
        """The text that is now certain to come before any stop text; nothing more after a match."""
        if self.matched or not self._stops:
            return "" if self.matched else text
        text = self._held + text
        cut = self._first_match(text)
        if cut is not None:
            self.matched, self._held = True, ""
            return text[:cut]
        hold = self._undecided(text)
        self._held = text[hold:]
        return text[:hold]

    def flush(self) -> str:
        """The text still held back, when no more can come."""
        text, self._held = self._held, ""
        return text

    def _first_match(self, text: str) -> int | None:
        found = ((text.find(stop), len(stop)) for stop in self._stops)
        ends = [(start + length, start) for start, length in found if start >= 0]
        return min(ends)[1] if ends else None

    def _undecided(self, text: str) -> int:
        """Where the longest suffix begins that is the beginning of a stop text."""
        for start in range(max(len(text) - self._reach, 0), len(text)):
            if text[start] in self._starts and any(stop.startswith(text[start:]) for stop in self._stops):
                return start
        return len(text)
