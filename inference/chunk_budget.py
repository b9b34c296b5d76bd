"""How many tokens of a prompt a step may read, so that nobody waits long for its end.

Learns from times that it is told; it reads no clock.
"""

UNKNOWN = 32  # tokens of the first chunk, before anything was measured
LEAST = 8  # tokens; smaller chunks cost a call each and hardly shorten it
LEAST_SHARE = 0.25  # of a step that is the chunk's, however long its decode call takes
FADING = 0.8  # what an observation weighs after the next one
# Where nothing better is known: at so many positions before a token, attending to them costs as much as all the rest.
BALANCE = 4000.0
PRIOR = 64 * 1000.0**2  # what that guess weighs: as much as a chunk of 64 tokens 1,000 positions off the mean


class ChunkBudget:
    """Sizes of chunks whose step takes about `pause` seconds while others decode, and `pause_alone` otherwise.

    A token takes `b + c * past` seconds, where `past` counts the positions before it: the first term is the model's
    products, the second one attention. Both come from a least squares fit over the last chunks.
    largest, largest_alone: bounds of the sizes, at least 2.
    """

    def __init__(self, largest: int, largest_alone: int, pause: float = 0.11, pause_alone: float = 0.2) -> None:
        assert min(largest, largest_alone) >= 2
        self._largest, self._largest_alone = largest, largest_alone
        self._pause, self._pause_alone = pause, pause_alone
        self._decode = 0.0  # seconds of a decode call
        # Sums over chunks, each weighed by its tokens: 1, past, past squared, seconds a token, past times those.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)

    def size(self, past: int, rows: int) -> int:
        """Tokens of the next chunk, after `past` positions, in a step that also decodes `rows` sequences."""
        largest, seconds = (self._largest, self._pause) if rows else (self._largest_alone, self._pause_alone)
        if not self._sums[0]:
            return min(UNKNOWN, largest)
        if rows:
            seconds = max(seconds - self._decode, seconds * LEAST_SHARE)
        fixed, slope = self._fit()
        tokens = int(seconds / max(fixed + slope * past, 1e-9))
        return min(max(tokens, LEAST), largest)

    def chunk_took(self, tokens: int, past: int, seconds: float) -> None:
        """A chunk of so many tokens after `past` positions was read."""
        middle, each = past + tokens / 2, seconds / tokens
        new = (1.0, middle, middle * middle, each, each * middle)
        self._sums = tuple(FADING * old + tokens * value for old, value in zip(self._sums, new, strict=True))  # type: ignore[assignment]

    def decode_took(self, seconds: float) -> None:
        """A decode call was made."""
        self._decode = (self._decode + seconds) / 2 if self._decode else seconds

    def _fit(self) -> tuple[float, float]:
        """Seconds of a token, and more of them for each position before it."""
        weight, past, square, seconds, product = self._sums
        mean_past, mean = past / weight, seconds / weight
        guess = mean / (BALANCE + mean_past)
        slope = (product - past * mean + PRIOR * guess) / (square - past * mean_past + PRIOR)
        slope = min(max(slope, 0.0), mean / max(mean_past, 1.0))
        return mean - slope * mean_past, slope
