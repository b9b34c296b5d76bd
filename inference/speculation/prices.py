"""What verifying drafts costs, from times that it is told. It reads no clock."""

ASSUMED = 0.3  # a drafted token, before anything was measured
LOWEST, HIGHEST = 0.02, 1.0
FADING = 0.9  # what an observation weighs after the next one


class Prices:
    """All in calls that decode a lone row; learned over all requests."""

    __slots__ = ("_decode", "_extra")

    def __init__(self) -> None:
        self._decode = self._extra = 0.0  # seconds of a decode call, and of a drafted token beside it

    @property
    def token(self) -> float:
        """One more drafted token in a call."""
        if not (self._decode and self._extra):
            return ASSUMED
        return min(max(self._extra / self._decode, LOWEST), HIGHEST)

    def decode_took(self, seconds: float) -> None:
        self._decode = FADING * self._decode + (1 - FADING) * seconds if self._decode else seconds

    def verify_took(self, drafted: int, seconds: float) -> float:
        """What this call cost beyond a decode call."""
        if not self._decode:
            return drafted * ASSUMED
        extra = max(seconds - self._decode, 0.0)
        each = extra / drafted
        self._extra = FADING * self._extra + (1 - FADING) * each if self._extra else each
        return extra / self._decode
