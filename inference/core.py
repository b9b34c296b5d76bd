"""The step: plan, run, commit. It knows neither threads nor who waits for the outputs."""

import logging
from collections.abc import Callable
from collections.abc import Sequence as Table
from dataclasses import replace
from time import perf_counter

from inference.chunk_budget import ChunkBudget
from inference.executor import Executor, Result
from inference.live import Live
from inference.options import EngineOptions
from inference.plan import Plan
from inference.runner import Runner
from inference.sampling.sampler import NOT_A_NUMBER, Sampled, Sampler
from inference.scheduler import Scheduler
from inference.sequence import Sequence
from inference.speculation.speculator import Speculator
from inference.types import EngineStats, FinishReason, GenerationRequest, Output

logger = logging.getLogger(__name__)


class EngineCore:
    """All requests that live, the policy and the model. For one thread. clock: seconds."""

    def __init__(
        self,
        runner: Runner,
        token_bytes: Table[bytes],
        end_tokens: frozenset[int],
        options: EngineOptions,
        clock: Callable[[], float] = perf_counter,
    ) -> None:
        assert len(token_bytes) >= runner.vocab_size, "every token that can be drawn has bytes"
        self._token_bytes, self._end_tokens = token_bytes, end_tokens
        self._slots, self._max_length, self._uniform = runner.slots, runner.max_length, options.uniform
        budget = ChunkBudget(options.chunk, options.chunk_alone, options.costs)
        self._scheduler = Scheduler(runner.slots, budget, paired=options.deterministic)
        self._live: dict[str, Live] = {}
        self._stats = EngineStats()
        sampler = Sampler.of(runner.vocab_size, options.kernels)
        self._executor = Executor(runner, sampler, self._live, self._stats, clock)
        speculates = options.speculation and not options.deterministic
        self._speculator = Speculator(end_tokens, options.costs.drafted) if speculates else None
        self.outputs: list[tuple[str, Output]] = []  # not yet delivered; whoever delivers them puts a new list

    @property
    def busy(self) -> bool:
        return self._scheduler.busy

    @property
    def stats(self) -> EngineStats:
        scheduler = self._scheduler
        return replace(
            self._stats,
            running=scheduler.running,
            waiting=scheduler.waiting,
            idle_slots=self._slots - scheduler.running,
            failure=self._executor.failure,
        )

    def add(self, *requests: GenerationRequest) -> None:
        """Requests of one call have the same prompt, which is computed for all of them at once. One that cannot even
        begin fails alone."""
        group: list[Live] = []
        for request in requests:
            assert request.id not in self._live, "ids are unique among live requests"
            try:
                twin = group[0] if group else None
                live = Live(request, self._token_bytes, self._max_length, twin, uniform=self._uniform)
            except Exception:
                logger.exception("the request %s could not begin; it fails", request.id)
                self.outputs.append((request.id, Output("", 0, 0, FinishReason.FAILED)))
            else:
                group.append(live)
        for live in group:
            live.siblings = [other for other in group if other is not live]
            self._live[live.sequence.id] = live
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
        plan = self._with_draft(self._scheduler.plan())
        result = self._executor.run(plan)
        self._commit(plan, result)

    def _with_draft(self, plan: Plan) -> Plan:
        sequence = plan.lone
        if self._speculator is None or sequence is None:
            return plan
        live = self._live[sequence.id]
        draft = self._speculator.draft(sequence, live.room, live.sampler.forced)
        return replace(plan, draft=draft) if draft else plan

    def _commit(self, plan: Plan, result: Result) -> None:
        self._stats.steps += 1
        if not result.moved:
            self._scheduler.forget()
        self._fail(result.failed)
        chunk, decode = plan.chunk, plan.decode
        if chunk is not None and chunk.sequence not in result.failed:
            if chunk.start == chunk.sequence.cached:
                self._stats.cached_tokens += chunk.start
            self._scheduler.read(chunk, result.chunk_seconds)
            if chunk.start == chunk.sequence.cached and not chunk.sequence.prefilled:
                # It takes a while until a long prompt is read: whoever waits learns that it has begun.
                self.outputs.append((chunk.sequence.id, Output("", 0, chunk.sequence.cached, None)))
        for sequence, sampled in result.first:
            if sampled.token != NOT_A_NUMBER:
                self._accept(sequence, sampled)
        if decode is not None and result.decoded:
            self._scheduler.decoded(decode, result.decode_seconds)
            for sequence, sampled in zip(decode.sequences, result.decoded, strict=True):
                if sampled.token != NOT_A_NUMBER:
                    self._accept(sequence, sampled)
        self._commit_draft(plan, result)

    def _commit_draft(self, plan: Plan, result: Result) -> None:
        sequence = plan.lone
        if self._speculator is None or sequence is None or sequence in result.failed:
            return
        if plan.draft:
            self._speculator.verified(len(plan.draft), len(result.verified) - 1)
        if result.verified:
            self._scheduler.verified(sequence, len(result.verified))
        for sampled in result.verified:
            if sequence.id in self._live:  # a stop text may end it before the last of them
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
