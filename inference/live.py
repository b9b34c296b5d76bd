"""One request while it lives in the engine: its tokens, its sampling and its text. It knows no slots and no policy."""

from collections.abc import Sequence as Table
from dataclasses import replace
from typing import Self

from inference.sampling.sampler import Sampled
from inference.sampling.state import SamplerState
from inference.sequence import Sequence
from inference.transcript import Transcript
from inference.types import FinishReason, GenerationRequest, Output


class Live:
    """Takes the sampled tokens of one request, one at a time, and says what may be shown and whether it goes on."""

    __slots__ = ("_length_limit", "_transcript", "sampler", "sequence", "siblings")

    def __init__(
        self,
        request: GenerationRequest,
        token_bytes: Table[bytes],
        max_length: int,
        twin: Self | None = None,
        *,
        uniform: bool = False,
    ) -> None:
        """twin: one with the same prompt, which has not begun either. uniform: see Sequence."""
        self.sequence = Sequence(request.id, list(request.prompt), request.domain, uniform)
        known = None if twin is None else twin.sampler
        self.sampler: SamplerState = SamplerState(
            request.sampling, request.prompt, token_bytes, request.constraint, known
        )
        self.siblings: Table[Live] = ()  # others with the same prompt, which may begin when this one's is read
        self._transcript = Transcript(token_bytes, request.sampling.stop)
        self._length_limit = min(max_length, len(request.prompt) + request.sampling.max_tokens)

    @property
    def room(self) -> int:
        """How many tokens may follow the next one."""
        return self._length_limit - len(self.sequence.tokens) - 1

    def accept(self, sampled: Sampled, end_tokens: frozenset[int]) -> Output:
        """The next token, an end token included; after an output with a finish no more may come."""
        self.sequence.tokens.append(sampled.token)
        starts = (self._transcript.length,)
        if sampled.token in end_tokens:
            return self.end(FinishReason.STOP, Output("", 1, self.sequence.cached, None, starts=starts))
        text, logprobs = self._transcript.push(sampled.token, sampled.logprob)
        output = Output(text, 1, self.sequence.cached, None, logprobs, starts)
        if self._transcript.stopped or sampled.last:
            return self.end(FinishReason.STOP, output)
        if len(self.sequence.tokens) >= self._length_limit:
            return self.end(FinishReason.LENGTH, output)
        return output

    def end(self, finish: FinishReason, output: Output | None = None) -> Output:
        """The last output, with the text that was still held back. output: what the last token gave."""
        output = output or Output("", 0, self.sequence.cached, None)
        text, logprobs = self._transcript.flush()
        return replace(output, text=output.text + text, finish=finish, logprobs=output.logprobs + logprobs)
