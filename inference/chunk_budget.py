"""How many tokens of a prompt a step may read, so that nobody waits long for its end.

Learns from times that it is told; it reads no clock.
"""

from inference.costs import ONNX_RUNTIME, Costs

UNKNOWN = 32  # tokens of the first chunk, before anything was measured
LEAST = 2  # tokens: a call of one may run other kernels
LEAST_SHARE = 0.2  # of a step that is the chunk's, however long its decode call takes
FADING = 0.8  # what an observation weighs after the next one
CAUTION = 1.1  # an overrun that is expected at first
CALMING = 0.97  # what is left of a disturbance after another chunk
WILDEST = 1.2  # disturbances beyond this share are accidents that no chunk size prevents
PRIOR = 64 * 1000.0**2  # what the guess of `Costs.balance` weighs: as a chunk of 64 tokens 1,000 positions off the mean


class ChunkBudget:
    """Sizes of chunks whose step takes at most about `pause` seconds while others decode, and `pause_alone` otherwise.

    A chunk of n tokens takes `n * b + (n + reading) * c * past` seconds, where `past` counts the positions before it:
    the first term is the model's products, the second one attention. Both come from a least squares fit over the last
    chunks. As much as the worst of them took longer than was expected, the next ones are kept shorter.
    largest, largest_alone: bounds of the sizes, at least 2.
    """

    def __init__(
        self,
        largest: int,
        largest_alone: int,
        costs: Costs = ONNX_RUNTIME,
        pause: float = 0.08,
        pause_alone: float = 0.2,
    ) -> None:
        assert min(largest, largest_alone) >= 2
        self._largest, self._largest_alone = largest, largest_alone
        self._costs, self._pause, self._pause_alone = costs, pause, pause_alone
        self._decode = 0.0  # seconds of a decode call
        self._overrun = CAUTION  # by how much chunks took longer than expected
        # Sums over chunks, each weighed by its tokens: 1, load, load squared, seconds a token, load times those; the
        # load is the past, as often as a token of the chunk pays for it.
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)

    def size(self, past: int, rows: int) -> int:
        """Tokens of the next chunk, after `past` positions, in a step that also decodes `rows` sequences."""
        largest, pause = (self._largest, self._pause) if rows else (self._largest_alone, self._pause_alone)
        if not self._sums[0]:
            return min(UNKNOWN, largest)
        seconds = pause / self._overrun
        if rows:
            seconds = max(seconds - self._decode, pause * LEAST_SHARE)
        fixed, slope = self._fit()
        tokens = int((seconds - self._costs.reading * slope * past) / max(fixed + slope * past, 1e-9))
        return min(max(tokens, LEAST), largest)

    def chunk_took(self, tokens: int, past: int, seconds: float) -> None:
        """A chunk of so many tokens after `past` positions was read."""
        load, each = (past + tokens / 2) * (1 + self._costs.reading / tokens), seconds / tokens
        if self._sums[0]:
            fixed, slope = self._fit()
            overrun = each / max(fixed + slope * load, 1e-9)
            self._overrun = min(max(overrun, 1 + (self._overrun - 1) * CALMING), WILDEST)
        new = (1.0, load, load * load, each, each * load)
        self._sums = tuple(FADING * old + tokens * value for old, value in zip(self._sums, new, strict=True))  # type: ignore[assignment]

    def decode_took(self, seconds: float) -> None:
        """A decode call was made."""
        self._decode = (self._decode + seconds) / 2 if self._decode else seconds

    def _fit(self) -> tuple[float, float]:
        """Seconds of a token, and more of them for each position of its load."""
        weight, load, square, seconds, product = self._sums
        mean_load, mean = load / weight, seconds / weight
        guess = mean / (self._costs.balance + mean_load)
        slope = (product - load * mean + PRIOR * guess) / (square - load * mean_load + PRIOR)
        slope = min(max(slope, 0.0), mean / max(mean_load, 1.0))
        return mean - slope * mean_load, slope
