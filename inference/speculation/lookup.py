"""Finds where the end of a text stood before, and what followed there (prompt lookup decoding, apoorvumang 2023).

Grows with the text: a token costs a few dictionary entries, however long the text is. It judges nothing.
"""

SHORT, LONG = 2, 5  # tokens of the beginnings that are looked up
LONGEST = 24  # tokens of a match that are compared


class Lookup:
    """An index over `tokens`, a list that its owner appends to."""

    __slots__ = ("_indexed", "_long", "_short", "_tokens", "length", "source")

    def __init__(self, tokens: list[int]) -> None:
        self._tokens = tokens
        self._indexed = 0  # no run of tokens that ends after this one is in the index
        self._short: dict[tuple[int, ...], int] = {}
        self._long: dict[tuple[int, ...], int] = {}
        self.source = 0  # the place after the best match, or where it would be
        self.length = 0  # tokens of the best match; 0 without one

    def advance(self, end: int) -> None:
        """Look up the last tokens before place `end`, which only grows; every earlier place is a candidate."""
        tokens = self._tokens
        for place in range(max(self._indexed + 1, SHORT), end):
            self._short[tuple(tokens[place - SHORT : place])] = place
            if place >= LONG:
                self._long[tuple(tokens[place - LONG : place])] = place
        self._indexed = max(end - 1, self._indexed)
        # Where the last match stood, going along: one token that differs, an edit, does not lead away from it.
        candidates = [self.source + 1] if 0 < self.source < end - 1 else []
        for size, index in ((LONG, self._long), (SHORT, self._short)):
            found = index.get(tuple(tokens[end - size : end])) if end >= size else None
            if found is not None:
                candidates.append(found)
        self.source, self.length = candidates[0] if candidates else 0, 0
        for place in candidates:
            length = self._common(place, end)
            if length > self.length:
                self.source, self.length = place, length

    def continuation(self, count: int, end: int) -> list[int]:
        """What followed the match, as `count` tokens; what would run beyond `end` repeats itself."""
        tokens: list[int] = []
        for place in range(self.source, self.source + count):
            tokens.append(self._tokens[place] if place < end else tokens[place - end])
        return tokens

    def _common(self, place: int, end: int) -> int:
        """How many tokens before both places agree; those before the first one that differs count half."""
        near = self._run(place, end, LONGEST)
        if not near or near == LONGEST:
            return near
        return near + self._run(place - near - 1, end - near - 1, LONGEST - near) // 2

    def _run(self, place: int, end: int, most: int) -> int:
        tokens, length = self._tokens, 0
        most = min(place, most)
        while length < most and tokens[place - 1 - length] == tokens[end - 1 - length]:
            length += 1
        return length
