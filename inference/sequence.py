"""One request's tokens and how far the cache holds them. It knows no text, no sampling and no policy."""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Sequence:
    """The tokens of a prompt and its answer so far.

    Of `tokens`, the first `written` are in the cache. The first `exact` of these were written by calls that agree to
    the bit, however a prompt is cut; only they may serve another prompt. If the model is `uniform` all calls agree;
    else those of chunks of two tokens or more do, and decoding runs other kernels, whose last bits differ.
    0 <= exact <= written <= len(tokens), and while decoding written == len(tokens) - 1.
    """

    id: str
    tokens: list[int]
    domain: str = ""  # only a sequence of the same one may reuse what this one computed
    uniform: bool = False
    prompt_length: int = field(init=False)
    slot: int = -1
    written: int = 0
    exact: int = 0
    cached: int = 0  # prompt tokens found in the cache on admission

    def __post_init__(self) -> None:
        self.prompt_length = len(self.tokens)

    def reuse(self, length: int) -> None:
        """The slot already holds the first `length` tokens, exact."""
        self.written = self.exact = self.cached = length

    def read(self, count: int) -> None:
        """A chunk wrote the next `count` tokens."""
        self._wrote(count, count > 1 or self.uniform)

    def decoded(self, count: int) -> None:
        """A call wrote the last token and `count - 1` after it that are about to be appended."""
        self._wrote(count, self.uniform)

    def _wrote(self, count: int, exactly: bool) -> None:
        if exactly and self.exact == self.written:
            self.exact += count
        self.written += count

    @property
    def prefilled(self) -> bool:
        return self.written >= self.prompt_length

    @property
    def begun(self) -> bool:
        """Whether its first token is drawn. A sequence that waits may have begun with a sibling's prompt."""
        return len(self.tokens) > self.prompt_length
