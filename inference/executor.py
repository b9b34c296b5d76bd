"""Makes the calls of a plan: moves, a chunk, a decode call, and samples from their logits. It knows no policy."""

import logging
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Table
from dataclasses import dataclass, field

import numpy as np

from inference.live import Live
from inference.plan import Chunk, Companion, Decode, Move, Plan, Swap
from inference.runner import Logits, Runner
from inference.sampling.sampler import NOT_A_NUMBER, Sampled, Sampler
from inference.sequence import Sequence
from inference.types import EngineStats

FAILURES_IN_A_ROW = 3  # so many failed calls of one kind are no accident: the engine reports that it is not fit

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Result:
    """What a plan's calls came to: sampled tokens, in the order of their rows, and the sequences that failed."""

    # Of the chunk, if it was a prompt's last: for its sequence, and for siblings that had waited for the same prompt.
    first: list[tuple[Sequence, Sampled]] = field(default_factory=list)
    decoded: list[Sampled] = field(default_factory=list)  # one for each sequence
    verified: list[Sampled] = field(default_factory=list)  # one or more for the lone sequence, in the place of one
    failed: list[Sequence] = field(default_factory=list)
    moved: bool = True  # otherwise no slot holds for certain what it should
    chunk_seconds: float = 0.0
    decode_seconds: float = 0.0


class Executor:
    """The model and what is drawn from it; a call that raises fails the sequences it was made for, and no others.

    live: all requests that live, by their ids. stats: counts the calls. clock: seconds.
    """

    def __init__(
        self,
        runner: Runner,
        sampler: Sampler,
        live: Mapping[str, Live],
        stats: EngineStats,
        clock: Callable[[], float],
    ) -> None:
        self._runner, self._sampler, self._live, self._stats, self._clock = runner, sampler, live, stats, clock
        self._failures: dict[str, int] = {}  # in a row, by the kind of call

    @property
    def failure(self) -> str | None:
        """Why the model is not fit to serve, or None."""
        for kind, count in self._failures.items():
            if count >= FAILURES_IN_A_ROW:
                return f"The last {count} {kind} calls of the runner failed."
        return None

    def run(self, plan: Plan) -> Result:
        """Makes the calls; no others if a move fails."""
        result = Result(moved=self._move(plan.moves))
        if not result.moved:
            result.failed = [*([] if plan.reading is None else [plan.reading]), *_decoded_by(plan.decode)]
            return result
        if plan.chunk is not None:
            self._prefill(plan.chunk, result)
        if plan.lone is not None and plan.draft:
            self._verify(plan.lone, plan.draft, result)
        elif plan.decode is not None:
            self._decode(plan.decode, plan.companion, result)
        return result

    def _move(self, moves: Table[Move]) -> bool:
        try:
            for move in moves:
                if isinstance(move, Swap):
                    self._runner.swap(move.a, move.length_a, move.b, move.length_b)
                else:
                    self._runner.copy(move.source, move.target, move.length, move.start)
                self._failures.pop("move", None)
        except Exception:
            self._note_failure("move")
            return False
        return True

    def _prefill(self, chunk: Chunk, result: Result) -> None:
        sequence, begun = chunk.sequence, self._clock()
        tokens = sequence.tokens[chunk.start : chunk.start + chunk.length]
        drawing = self._drawing(chunk)
        try:
            logits = self._runner.prefill(sequence.slot, tokens, chunk.start, rows=1 if drawing else 0)
            if drawing:
                rows = np.broadcast_to(logits, (len(drawing), logits.shape[1]))
                result.first = [*zip(drawing, self._sample(rows, drawing, result), strict=True)]
        except Exception:
            self._note_failure("prefill")
            result.failed += drawing or (sequence,)
            return
        self._failures.pop("prefill", None)
        result.chunk_seconds = self._clock() - begun
        self._stats.prefill_tokens += chunk.length
        self._stats.prefill_seconds += result.chunk_seconds

    def _drawing(self, chunk: Chunk) -> tuple[Sequence, ...]:
        """Whose first token follows from this chunk."""
        if not chunk.last or chunk.sequence.begun:
            return ()
        siblings = [sibling.sequence for sibling in self._live[chunk.sequence.id].siblings]
        waiting = [each for each in siblings if each.id in self._live and each.slot < 0 and not each.begun]
        return (chunk.sequence, *waiting)

    def _decode(self, decode: Decode, companion: Companion | None, result: Result) -> None:
        begun = self._clock()
        try:
            result.decoded = self._sample(self._decode_call(decode, companion), decode.sequences, result)
        except Exception:
            self._note_failure("decode")
            result.failed.extend(decode.sequences)
            return
        self._failures.pop("decode", None)
        result.decode_seconds = self._clock() - begun
        self._stats.decode_calls += 1
        self._stats.decode_tokens += len(decode.sequences)
        self._stats.decode_seconds += result.decode_seconds

    def _decode_call(self, decode: Decode, companion: Companion | None) -> Logits:
        tokens = [sequence.tokens[-1] for sequence in decode.sequences]
        positions = [sequence.written for sequence in decode.sequences]
        best = self._best(decode.sequences)
        if companion is None:
            return self._runner.decode(decode.first, tokens, positions, best)
        if companion.slot > decode.first:
            return self._runner.decode(decode.first, [*tokens, tokens[0]], [*positions, companion.position], best)[:-1]
        return self._runner.decode(companion.slot, [tokens[0], *tokens], [companion.position, *positions], best)[1:]

    def _best(self, sequences: tuple[Sequence, ...]) -> int | None:
        """How many of the largest logits of each row are needed to draw, or None for all."""
        most = 0
        for sequence in sequences:
            best = self._live[sequence.id].sampler.best
            if best is None:
                return None
            most = max(most, best)
        return most

    def _verify(self, sequence: Sequence, draft: tuple[int, ...], result: Result) -> None:
        begun = self._clock()
        try:
            tokens = [sequence.tokens[-1], *draft]
            logits = self._runner.prefill(sequence.slot, tokens, sequence.written, rows=len(tokens))
            result.verified = self._agreed(logits, sequence, draft, result)
        except Exception:
            self._note_failure("verify")
            result.failed.append(sequence)
            return
        self._failures.pop("verify", None)
        self._stats.verify_calls += 1
        self._stats.verify_seconds += self._clock() - begun
        self._stats.drafted_tokens += len(draft)
        self._stats.accepted_tokens += max(len(result.verified) - 1, 0)

    def _agreed(self, logits: Logits, sequence: Sequence, draft: tuple[int, ...], result: Result) -> list[Sampled]:
        """The tokens up to the first one that was drafted otherwise, itself included."""
        state, agreed = self._live[sequence.id].sampler, list[Sampled]()
        for row, drafted in zip(logits, (*draft, None), strict=True):
            [sampled] = self._sampler.sample(row[np.newaxis], [state])
            if sampled.token == NOT_A_NUMBER:
                self._report([sequence], result)
                break
            agreed.append(sampled)
            if sampled.token != drafted or state.finished:
                break
        return agreed

    def _sample(self, logits: Logits, sequences: tuple[Sequence, ...], result: Result) -> list[Sampled]:
        sampled = self._sampler.sample(logits, [self._live[sequence.id].sampler for sequence in sequences])
        failed = [sequence for sequence, each in zip(sequences, sampled, strict=True) if each.token == NOT_A_NUMBER]
        self._report(failed, result)
        return sampled

    def _report(self, failed: list[Sequence], result: Result) -> None:
        if failed:
            logger.error("the logits of %s are not numbers", ", ".join(sequence.id for sequence in failed))
            result.failed.extend(failed)

    def _note_failure(self, kind: str) -> None:
        logger.exception("a %s call of the runner failed; its sequences end", kind)
        self._failures[kind] = self._failures.get(kind, 0) + 1


def _decoded_by(decode: Decode | None) -> tuple[Sequence, ...]:
    return () if decode is None else decode.sequences
