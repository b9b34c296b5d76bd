"""Long random traffic, in which most slots keep something that others share: slots hold what the scheduler believes."""

import random

import pytest

from inference.chunk_budget import ChunkBudget
from inference.plan import Plan, Swap
from inference.scheduler import Scheduler
from inference.sequence import Sequence

STEPS = 400


class Traffic:
    """Requests come and end at random, and a model of the cache obeys the plans."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._slots = self._random.choice([2, 3, 4, 6, 9, 16])
        copied = self._random.choice([1, 2, 3, 5, 8, 13, 1000])
        budget = ChunkBudget(self._random.randrange(2, 9), self._random.randrange(2, 20))
        self._scheduler = Scheduler(self._slots, budget, copied=copied)
        self._cache: list[list[int]] = [[] for _ in range(self._slots)]
        self._live: dict[str, Sequence] = {}
        self._uniform = self._random.random() < 0.7
        self._stems = [[self._random.randrange(3) for _ in range(30)] for _ in range(3)]
        self._names = 0

    def step(self) -> None:
        if self._random.random() < 0.35 and len(self._live) < 2 * self._slots:
            self._add()
        plan = self._scheduler.plan()
        self._move(plan)
        sampled = self._read(plan) + self._decode(plan)
        self._check()
        for sequence in sampled:
            sequence.tokens.append(self._random.choice([self._random.randrange(3), self._random.randrange(1000)]))
            if self._random.random() < 0.06:
                self._scheduler.finish(self._live.pop(sequence.id))
        if self._live and self._random.random() < 0.02:
            self._scheduler.finish(self._live.pop(self._random.choice(sorted(self._live))))

    def _add(self) -> None:
        stem = self._random.choice(self._stems)
        if self._live and self._random.random() < 0.3:
            stem = self._live[self._random.choice(sorted(self._live))].tokens
        own = [self._random.randrange(3) for _ in range(self._random.randrange(1, 6))]
        prompt = stem[: self._random.randrange(1, len(stem) + 1)] + own
        for _ in range(self._random.choice([1, 1, 1, 3])):
            sequence = Sequence(f"s{self._names:05}", list(prompt), uniform=self._uniform)
            self._names += 1
            self._live[sequence.id] = sequence
            self._scheduler.add(sequence)

    def _move(self, plan: Plan) -> None:
        cache = self._cache
        for move in plan.moves:
            if isinstance(move, Swap):
                a, b = cache[move.a], cache[move.b]
                cache[move.a], cache[move.b] = b[: move.length_b], a[: move.length_a]
            else:
                assert len(cache[move.target]) >= move.start < move.length
                cache[move.target][move.start :] = cache[move.source][move.start : move.length]

    def _read(self, plan: Plan) -> list[Sequence]:
        if plan.chunk is None:
            return []
        sequence, start = plan.chunk.sequence, plan.chunk.start
        assert len(self._cache[sequence.slot]) >= start
        self._cache[sequence.slot][start:] = sequence.tokens[start : start + plan.chunk.length]
        self._scheduler.read(plan.chunk, 0.0)
        if not plan.chunk.last or sequence.begun:
            return []
        # Those that wait with the same prompt begin with it.
        waiting = [other for other in self._live.values() if other.slot < 0 and not other.begun]
        return [sequence, *(other for other in waiting if other.tokens == sequence.tokens)]

    def _decode(self, plan: Plan) -> list[Sequence]:
        if plan.decode is None:
            return []
        for slot, sequence in enumerate(plan.decode.sequences, start=plan.decode.first):
            assert sequence.slot == slot
            assert sequence.written == len(sequence.tokens) - 1
            self._cache[slot][sequence.written :] = [sequence.tokens[-1]]
        self._scheduler.decoded(plan.decode, 0.0)
        return list(plan.decode.sequences)

    def _check(self) -> None:
        for index, held in enumerate(self._cache):
            slot = self._scheduler.table[index]
            believed = slot.kept if slot.sequence is None else slot.sequence.tokens[: slot.sequence.written]
            assert held[: len(believed)] == believed


@pytest.mark.parametrize("seeds", [range(400), pytest.param(range(400, 20_000), marks=pytest.mark.slow)], ids=str)
def test_slots_hold_what_the_scheduler_believes_whatever_comes_and_ends(seeds: range) -> None:
    for seed in seeds:
        traffic = Traffic(seed)
        for _ in range(STEPS):
            traffic.step()
