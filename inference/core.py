"""The step: plan, run, commit. It knows neither threads nor who waits for the outputs."""

import logging
from collections.abc import Sequence as Table
from dataclasses import dataclass, field
from time import perf_counter

from inference.live import Live
from inference.plan import Chunk, Decode, Move, Plan, Swap
from inference.runner import Logits, Runner
from inference.sampling.sampler import NOT_A_NUMBER, Sampled, Sampler
from inference.sampling.state import SamplerState
from inference.scheduler import Scheduler
from inference.sequence import Sequence
from inference.types import EngineStats, FinishReason, GenerationRequest, Output

FAILURES_IN_A_ROW = 3  # so many failed calls of one kind are no accident: the engine reports that it is not fit

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Result:
    """What a plan's calls came to: sampled tokens, in the order of their rows, and the sequences that failed."""

    first: Sampled | None = None  # the chunk's, if it was a prompt's last
    decoded: list[Sampled] = field(default_factory=list)  # the decode call's
    failed: list[Sequence] = field(default_factory=list)


@dataclass(slots=True)
class Counters:
    """Since the start; times in seconds."""

    steps: int = 0
    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_calls: int = 0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    cached_tokens: int = 0


class EngineCore:
    """All requests that live, the policy and the model. For one thread."""

    def __init__(
        self, runner: Runner, token_bytes: Table[bytes], end_tokens: frozenset[int], chunk: int, chunk_alone: int
    ) -> None:
        assert len(token_bytes) >= runner.vocab_size, "every token that can be drawn has bytes"
        self._runner, self._token_bytes, self._end_tokens = runner, token_bytes, end_tokens
        self._scheduler = Scheduler(runner.slots, chunk, chunk_alone)
        self._sampler = Sampler(runner.vocab_size)
        self._live: dict[str, Live] = {}
        self.outputs: list[tuple[str, Output]] = []  # not yet delivered; whoever delivers them puts a new list
        self._counters = Counters()
        self._failures: dict[str, int] = {}  # in a row, by the kind of call

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def stats(self) -> EngineStats:
        counters, scheduler = self._counters, self._scheduler
        return EngineStats(
            running=scheduler.running,
            waiting=scheduler.waiting,
            idle_slots=self._runner.slots - scheduler.running,
            steps=counters.steps,
            prefill_tokens=counters.prefill_tokens,
            prefill_seconds=counters.prefill_seconds,
            decode_calls=counters.decode_calls,
            decode_tokens=counters.decode_tokens,
            decode_seconds=counters.decode_seconds,
            cached_tokens=counters.cached_tokens,
            failure=self._failure(),
        )

    def add(self, request: GenerationRequest) -> None:
        assert request.id not in self._live, "ids are unique among live requests"
        live = Live(request, self._token_bytes, self._runner.max_length)
        self._live[request.id] = live
        self._scheduler.add(live.sequence)

    def abort(self, request_id: str) -> None:
        """End a request; nothing happens if it has ended already."""
        live = self._live.get(request_id)
        if live is not None:
            self._scheduler.finish(live.sequence)
            self._end(live, FinishReason.ABORTED)

    def end_all(self, finish: FinishReason) -> None:
        """End every request as it stands, without another call of the scheduler or the runner."""
        for live in list(self._live.values()):
            self._end(live, finish)

    def step(self) -> None:
        plan = self._scheduler.plan()
        result = self._run(plan)
        self._commit(plan, result)

    def _run(self, plan: Plan) -> Result:
        result = Result()
        try:
            for move in plan.moves:
                self._move(move)
        except Exception:  # which slot holds what is unknown now
            self._note_failure("move")
            self._scheduler.forget()
            result.failed = [*_read_by(plan.chunk), *_decoded_by(plan.decode)]
            return result
        if plan.chunk is not None:
            self._prefill(plan.chunk, result)
        if plan.decode is not None:
            self._decode(plan.decode, result)
        return result

    def _move(self, move: Move) -> None:
        if isinstance(move, Swap):
            self._runner.swap(move.a, move.length_a, move.b, move.length_b)
        else:
            self._runner.copy(move.source, move.target, move.length)
        self._failures.pop("move", None)

    def _prefill(self, chunk: Chunk, result: Result) -> None:
        sequence, begun = chunk.sequence, perf_counter()
        tokens = sequence.tokens[chunk.start : chunk.start + chunk.length]
        try:
            logits = self._runner.prefill(sequence.slot, tokens, chunk.start, rows=int(chunk.last))
            if chunk.last:
                result.first = self._sample(logits, (sequence,), result)[0]
        except Exception:
            self._note_failure("prefill")
            result.failed.append(sequence)
            return
        self._failures.pop("prefill", None)
        self._counters.prefill_tokens += chunk.length
        self._counters.prefill_seconds += perf_counter() - begun

    def _decode(self, decode: Decode, result: Result) -> None:
        sequences, begun = decode.sequences, perf_counter()
        tokens = [sequence.tokens[-1] for sequence in sequences]
        positions = [sequence.written for sequence in sequences]
        try:
            logits = self._runner.decode(decode.first, tokens, positions)
            result.decoded = self._sample(logits, sequences, result)
        except Exception:
            self._note_failure("decode")
            result.failed.extend(sequences)
            return
        self._failures.pop("decode", None)
        self._counters.decode_calls += 1
        self._counters.decode_tokens += len(sequences)
        self._counters.decode_seconds += perf_counter() - begun

    def _sample(self, logits: Logits, sequences: tuple[Sequence, ...], result: Result) -> list[Sampled]:
        states: list[SamplerState] = [self._live[sequence.id].sampler for sequence in sequences]
        sampled = self._sampler.sample(logits, states)
        failed = [sequence for sequence, each in zip(sequences, sampled, strict=True) if each.token == NOT_A_NUMBER]
        if failed:
            logger.error("the logits of %s are not numbers", ", ".join(sequence.id for sequence in failed))
            result.failed.extend(failed)
        return sampled

    def _commit(self, plan: Plan, result: Result) -> None:
        self._counters.steps += 1
        self._fail(result.failed)
        chunk, decode = plan.chunk, plan.decode
        if chunk is not None and chunk.sequence not in result.failed:
            if chunk.start == chunk.sequence.cached:
                self._counters.cached_tokens += chunk.start
            self._scheduler.read(chunk)
            if result.first is not None:
                self._accept(chunk.sequence, result.first)
        if decode is not None and result.decoded:
            self._scheduler.decoded(decode)
            for sequence, sampled in zip(decode.sequences, result.decoded, strict=True):
                if sampled.token != NOT_A_NUMBER:
                    self._accept(sequence, sampled)

    def _accept(self, sequence: Sequence, sampled: Sampled) -> None:
        output = self._live[sequence.id].accept(sampled, self._end_tokens)
        self.outputs.append((sequence.id, output))
        if output.finish is not None:
            del self._live[sequence.id]
            self._scheduler.finish(sequence)

    def _fail(self, sequences: list[Sequence]) -> None:
        for sequence in sequences:
            self._scheduler.discard(sequence)
            self._end(self._live[sequence.id], FinishReason.FAILED)

    def _end(self, live: Live, finish: FinishReason) -> None:
        del self._live[live.sequence.id]
        self.outputs.append((live.sequence.id, live.end(finish)))

    def _note_failure(self, kind: str) -> None:
        logger.exception("a %s call of the runner failed; its sequences end", kind)
        self._failures[kind] = self._failures.get(kind, 0) + 1

    def _failure(self) -> str | None:
        for kind, count in self._failures.items():
            if count >= FAILURES_IN_A_ROW:
                return f"The last {count} {kind} calls of the runner failed."
        return None


def _read_by(chunk: Chunk | None) -> tuple[Sequence, ...]:
    return () if chunk is None else (chunk.sequence,)


def _decoded_by(decode: Decode | None) -> tuple[Sequence, ...]:
    return () if decode is None else decode.sequences
