"""One request while it lives in the engine: its tokens, its sampling and its text. It knows no slots and no policy."""

from collections.abc import Sequence as Table

from inference.detokenizer import Detokenizer
from inference.sampler import SamplerState
from inference.sequence import Sequence
from inference.stops import StopMatcher
from inference.types import FinishReason, GenerationRequest, Output


class Live:
    """Takes the sampled tokens of one request, one at a time, and says what may be shown and whether it goes on."""

    __slots__ = ("_detokenizer", "_length_limit", "_stops", "sampler", "sequence")

    def __init__(self, request: GenerationRequest, token_bytes: Table[bytes], max_length: int) -> None:
        self.sequence = Sequence(request.id, list(request.prompt), request.domain)
        self.sampler = SamplerState(request.sampling)
        self._detokenizer = Detokenizer(token_bytes)
        self._stops = StopMatcher(request.sampling.stop)
        self._length_limit = min(max_length, len(request.prompt) + request.sampling.max_tokens)

    def accept(self, token: int, end_tokens: frozenset[int]) -> Output:
        """The next token, an end token included; after an output with a finish no more may come."""
        self.sequence.tokens.append(token)
        if token in end_tokens:
            return self.end(FinishReason.STOP, tokens=1)
        text = self._stops.push(self._detokenizer.push(token))
        if self._stops.matched:
            return Output(text, 1, self.sequence.cached, FinishReason.STOP)
        if len(self.sequence.tokens) >= self._length_limit:
            return self.end(FinishReason.LENGTH, tokens=1, text=text)
        return Output(text, 1, self.sequence.cached, None)

    def end(self, finish: FinishReason, tokens: int = 0, text: str = "") -> Output:
        """The last output, with the text that was still held back."""
        text += self._stops.push(self._detokenizer.flush())
        if not self._stops.matched:
            text += self._stops.flush()
        return Output(text, tokens, self.sequence.cached, finish)
