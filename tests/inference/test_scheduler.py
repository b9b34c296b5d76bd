"""What holds for the scheduler whatever the requests, their order and their ends."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from inference.chunk_budget import ChunkBudget
from inference.plan import Copy, Plan, Swap
from inference.scheduler import TILE, Scheduler, chunk_length
from inference.sequence import Sequence
from inference.slots import common_prefix

Row = tuple[int, bool]  # a token, and whether anything but a chunk of two tokens or more wrote it


@given(st.integers(1, 1000), st.integers(2, 70) | st.integers(120, 520))
def test_a_prompt_is_cut_into_chunks_that_leave_no_row_alone(remaining: int, size: int) -> None:
    lonely = remaining == 1
    while remaining:
        length = chunk_length(remaining, size)
        assert min(size, remaining) - 2 <= length <= max(size, 3)
        assert (length >= 2 and length % TILE != 1) or lonely
        remaining -= length


@given(st.lists(st.integers(0, 1), max_size=300), st.lists(st.integers(0, 1), max_size=300), st.integers(0, 300))
def test_the_common_prefix_is_the_one_found_token_by_token(a: list[int], shared: list[int], limit: int) -> None:
    b = a[: len(shared)] + shared
    limit = min(limit, len(a), len(b))
    naive = next((index for index in range(limit) if a[index] != b[index]), limit)
    assert common_prefix(a, b, limit) == naive


def test_a_long_common_prefix_is_found_to_the_token() -> None:
    a = list(range(5000))
    for length in (0, 1, 63, 64, 65, 191, 192, 193, 2047, 4999):
        b = [*a[:length], -1, *a[length + 1 :]]
        assert common_prefix(a, b, 5000) == length
    assert common_prefix(a, list(a), 5000) == 5000


class SchedulerMachine(RuleBasedStateMachine):
    """Runs plans against a model of the cache that remembers what was really written where."""

    @initialize(
        slots=st.integers(1, 6),
        chunk=st.integers(2, 5),
        alone=st.integers(2, 9),
        paired=st.booleans(),
        copied=st.sampled_from([1, 2, 3, 5, 1000]),
    )
    def start(self, slots: int, chunk: int, alone: int, paired: bool, copied: int) -> None:
        self.scheduler = Scheduler(slots, ChunkBudget(chunk, alone), paired=paired, copied=copied)
        self.copied = copied
        self.paired = paired and slots > 1
        self.cache: list[list[Row]] = [[] for _ in range(slots)]
        self.live: dict[str, Sequence] = {}
        self.order: list[str] = []  # of those whose prompt has not begun
        self.sizes = (chunk, alone)
        self.names = 0
        self.tokens = 100

    @rule(prompt=st.lists(st.integers(0, 2), min_size=1, max_size=14))
    def add(self, prompt: list[int]) -> None:
        self._add(prompt)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), new=st.lists(st.integers(0, 2), max_size=4))
    def add_continuation(self, data: st.DataObject, new: list[int]) -> None:
        """As the next turn of a conversation would."""
        source = self.live[data.draw(st.sampled_from(sorted(self.live)))]
        self._add(source.tokens[: data.draw(st.integers(1, len(source.tokens)))] + new)

    @precondition(lambda self: self.live)
    @rule(data=st.data(), discard=st.booleans())
    def end(self, data: st.DataObject, discard: bool) -> None:
        sequence = self.live.pop(data.draw(st.sampled_from(sorted(self.live))))
        if sequence.id in self.order:
            self.order.remove(sequence.id)
        slot = sequence.slot
        (self.scheduler.discard if discard else self.scheduler.finish)(sequence)
        if discard and slot >= 0:
            self.cache[slot] = [(-1, True)] * 50

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        had_work = self.scheduler.busy
        plan = self.scheduler.plan()
        self._move(plan)
        sampled = self._prefill(plan) + self._decode(plan)
        assert bool(plan.chunk or plan.decode) == had_work
        for sequence in sampled:
            sequence.tokens.append(self.tokens)
            self.tokens += 1
            if data.draw(st.booleans()) and data.draw(st.booleans()):
                self.scheduler.finish(self.live.pop(sequence.id))

    @invariant()
    def no_two_sequences_share_a_slot(self) -> None:
        if hasattr(self, "live"):
            taken = [sequence.slot for sequence in self.live.values() if sequence.slot >= 0]
            assert len(taken) == len(set(taken)) == self.scheduler.running
            for sequence in self.live.values():
                assert sequence.slot < 0 or self.scheduler.table[sequence.slot].sequence is sequence

    @invariant()
    def slots_hold_what_the_scheduler_believes(self) -> None:
        if hasattr(self, "live"):
            for index, held in enumerate(self.cache):
                slot = self.scheduler.table[index]
                if slot.sequence is None:
                    assert held[: len(slot.kept)] == [(token, False) for token in slot.kept]
                else:
                    exact, written = slot.sequence.exact, slot.sequence.written
                    assert [token for token, _ in held[:written]] == slot.sequence.tokens[:written]
                    assert not any(inexact for _, inexact in held[:exact])

    def teardown(self) -> None:
        """Whatever lives is served in the end, in the order it came."""
        if not hasattr(self, "live"):
            return
        for _ in range(2000):
            if not self.live:
                break
            plan = self.scheduler.plan()
            self._move(plan)
            for sequence in self._prefill(plan) + self._decode(plan):
                self.scheduler.finish(self.live.pop(sequence.id))
        assert not self.live
        assert not self.scheduler.busy

    def _add(self, prompt: list[int]) -> None:
        sequence = Sequence(f"s{self.names:04}", list(prompt))
        self.names += 1
        self.live[sequence.id] = sequence
        self.order.append(sequence.id)
        self.scheduler.add(sequence)

    def _move(self, plan: Plan) -> None:
        copied = sum(move.positions for move in plan.moves if isinstance(move, Copy))
        assert copied <= self.copied or plan.decode is None
        for move in plan.moves:
            if isinstance(move, Swap):
                a, b = self.cache[move.a], self.cache[move.b]
                self.cache[move.a], self.cache[move.b] = b[: move.length_b], a[: move.length_a]
            else:
                held = self.cache[move.target][: move.start]
                assert len(held) == move.start < move.length
                self.cache[move.target] = held + self.cache[move.source][move.start : move.length]

    def _prefill(self, plan: Plan) -> list[Sequence]:
        chunk = plan.chunk
        if chunk is None:
            return []
        sequence = chunk.sequence
        if chunk.start == sequence.cached and sequence.id in self.order:
            assert self.order.pop(0) == sequence.id, "first come, first served"
            assert sequence.cached <= max(sequence.prompt_length - 2, 0)
        assert chunk.length >= 2 or sequence.prompt_length == 1
        assert chunk.length <= max(3, self.sizes[0] if plan.decode else self.sizes[1])
        held = self.cache[sequence.slot][: chunk.start]
        assert len(held) == chunk.start
        new = sequence.tokens[chunk.start : chunk.start + chunk.length]
        self.cache[sequence.slot] = held + [(token, chunk.length == 1) for token in new]
        self.scheduler.read(chunk, 0.0)
        return [sequence] if chunk.last else []

    def _decode(self, plan: Plan) -> list[Sequence]:
        if plan.decode is None:
            return []
        sequences = plan.decode.sequences
        assert [sequence.slot for sequence in sequences] == list(
            range(plan.decode.first, plan.decode.first + len(sequences))
        )
        for sequence in sequences:
            assert sequence.written == len(sequence.tokens) - 1
            held = self.cache[sequence.slot][: sequence.written]
            self.cache[sequence.slot] = [*held, (sequence.tokens[-1], True)]
        self._accompany(plan)
        self.scheduler.decoded(plan.decode, 0.0)
        return list(sequences)

    def _accompany(self, plan: Plan) -> None:
        """A companion's row overwrites a position, and all that lie behind it are lost."""
        assert plan.decode is not None
        row, lonely = plan.companion, len(plan.decode.sequences) == 1
        assert (row is not None) == (self.paired and lonely)
        if row is not None:
            assert abs(row.slot - plan.decode.first) == 1
            assert len(self.cache[row.slot]) >= row.position
            self.cache[row.slot] = [*self.cache[row.slot][: row.position], (-1, True)]


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_lonely_sequence_is_never_moved() -> None:
    """With an empty block a prompt decodes where it was read."""
    scheduler = Scheduler(5, ChunkBudget(4, 8))
    for turn in range(4):
        sequence = Sequence(f"turn {turn}", list(range(10 * (turn + 1))))
        scheduler.add(sequence)
        while len(sequence.tokens) - sequence.prompt_length < 5:
            plan = scheduler.plan()
            assert plan.moves == ()
            if plan.chunk is not None:
                scheduler.read(plan.chunk, 0.0)
            if plan.decode is not None:
                scheduler.decoded(plan.decode, 0.0)
            if sequence.prefilled:
                sequence.tokens.append(1000)
        assert sequence.cached == 10 * turn
        scheduler.finish(sequence)


def test_a_prefix_is_reused_only_within_its_domain() -> None:
    """Kept or still running, moved or copied: what one domain computed is a miss for another."""
    scheduler = Scheduler(4, ChunkBudget(8, 8))
    cached: list[int] = []
    for domain in ("ann", "bob", "ann", "bob", "eve"):
        sequence = Sequence(f"turn {len(cached)}", list(range(8)), domain)
        scheduler.add(sequence)
        while not sequence.prefilled:
            plan = scheduler.plan()
            if plan.chunk is not None:
                scheduler.read(plan.chunk, 0.0)
            if plan.decode is not None:
                scheduler.decoded(plan.decode, 0.0)
        sequence.tokens.append(1000)
        cached.append(sequence.cached)
        if domain == "ann":
            scheduler.finish(sequence)
    assert cached == [0, 0, 6, 6, 0]
