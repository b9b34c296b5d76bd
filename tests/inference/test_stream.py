"""The engine under an event loop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.fakes import ScriptedRunner
from inference.sampling.parameters import SamplingParams
from inference.stream import AsyncEngine, Generation, merge
from inference.types import ContextLengthExceeded, EngineStopped, FinishReason, Output, QueueFull
from tests.inference.engine_tools import END, GREEDY, SMALL_CHUNKS, TOKEN_BYTES, WAIT, HeldGate, request, spell


def make(runner: ScriptedRunner, queue_limit: int = 4) -> AsyncEngine:
    return AsyncEngine(runner, TOKEN_BYTES, frozenset({END}), queue_limit=queue_limit, options=SMALL_CHUNKS)


async def read(generation: Generation) -> list[Output]:
    async with asyncio.timeout(WAIT):
        return [output async for output in generation]


@pytest.fixture
def gate() -> HeldGate:
    return HeldGate()


@pytest.fixture
async def held(gate: HeldGate) -> AsyncIterator[AsyncEngine]:
    """An engine of two slots and two places in the queue that answers ABCDE, one call at a time."""
    async with make(ScriptedRunner(slots=2, reply=lambda prompt: spell("ABCDE"), gate=gate), queue_limit=2) as engine:
        yield engine
        gate.open()


async def test_a_generation_yields_text_up_to_its_last_output() -> None:
    async with make(ScriptedRunner(reply=lambda prompt: spell("ABCDE"))) as engine:
        outputs = await read(engine.submit(request("r")))
    assert merge(outputs) == Output("ABCDE", 6, 0, FinishReason.STOP, starts=(0, 1, 2, 3, 4, 5))
    assert all(output.finish is None for output in outputs[:-1])


async def test_outputs_that_wait_are_merged_into_one(held: AsyncEngine, gate: HeldGate) -> None:
    generation, other = held.submit(request("r")), held.submit(request("other"))
    gate.open()
    await read(other)
    assert await read(generation) == [Output("ABCDE", 6, 0, FinishReason.STOP, starts=(0, 1, 2, 3, 4, 5))]


async def test_every_reader_gets_its_own_text() -> None:
    async with make(ScriptedRunner(slots=3, reply=lambda prompt: prompt), queue_limit=50) as engine:
        generations = [engine.submit(request(str(index), [index + 1, 2, 3])) for index in range(40)]
        texts = await asyncio.gather(*(read(generation) for generation in generations))
        assert engine.live == 0
    assert [merge(outputs).text for outputs in texts] == [f"{chr(index + 65)}BC" for index in range(40)]


async def test_a_full_queue_refuses_at_once(held: AsyncEngine, gate: HeldGate) -> None:
    """Two slots and two places: the fifth request is refused, and taken once one has ended."""
    generations = [held.submit(request(str(index))) for index in range(4)]
    with pytest.raises(QueueFull):
        held.submit(request("fifth"))
    gate.open()
    await read(generations[0])
    assert merge(await read(held.submit(request("fifth")))).text == "ABCDE"


async def test_a_refused_prompt_takes_no_place(held: AsyncEngine) -> None:
    for index in range(10):
        with pytest.raises(ContextLengthExceeded):
            held.submit(request(str(index), range(1000)))
    assert held.live == 0


async def test_an_abort_frees_the_slot_within_one_step(held: AsyncEngine, gate: HeldGate) -> None:
    first, second, third = (held.submit(request(name)) for name in ("a", "b", "c"))
    await asyncio.to_thread(gate.wait_for_call)
    first.abort()
    first.abort()
    gate.let_through(2)  # the step that runs, and the next, which reads b's prompt
    assert merge(await read(first)) == Output("A", 1, 0, FinishReason.ABORTED, starts=(0,))
    assert (held.stats.running, held.stats.waiting, held.stats.idle_slots) == (1, 1, 1)
    first.abort()
    gate.open()
    assert merge(await read(second)).text == "ABCDE"
    assert merge(await read(third)).text == "ABCDE"


async def test_a_consumer_that_goes_away_leaves_nothing_behind(held: AsyncEngine, gate: HeldGate) -> None:
    """Cancelled while it waits for the next output, inside `async with`."""

    async def consume() -> None:
        async with held.submit(request("r", sampling=SamplingParams(max_tokens=200))) as generation:
            await read(generation)

    task = asyncio.create_task(consume())
    await asyncio.to_thread(gate.wait_for_call)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    async with asyncio.timeout(WAIT):
        await held.drain()
    assert held.live == 0
    assert held.stats.running == 0


async def test_a_generation_that_nobody_reads_ends_all_the_same(held: AsyncEngine, gate: HeldGate) -> None:
    held.submit(request("r"))
    gate.open()
    async with asyncio.timeout(WAIT):
        await held.drain()
    assert held.live == 0


async def test_a_reader_that_was_cancelled_can_read_on(held: AsyncEngine, gate: HeldGate) -> None:
    generation = held.submit(request("r"))
    reader = asyncio.ensure_future(anext(generation))
    await asyncio.to_thread(gate.wait_for_call)
    reader.cancel()
    await asyncio.wait([reader])
    gate.open()
    assert merge(await read(generation)).text == "ABCDE"


async def test_draining_finishes_what_lives_and_refuses_the_rest(held: AsyncEngine, gate: HeldGate) -> None:
    generation = held.submit(request("r"))
    drained = asyncio.create_task(held.drain())
    await asyncio.to_thread(gate.wait_for_call)
    assert not drained.done()
    with pytest.raises(EngineStopped):
        held.submit(request("late"))
    gate.open()
    async with asyncio.timeout(WAIT):
        await drained
    assert merge(await read(generation)).finish is FinishReason.STOP


async def test_closing_ends_what_lives_and_may_be_repeated(held: AsyncEngine, gate: HeldGate) -> None:
    generations = [held.submit(request(name)) for name in ("a", "b", "c")]
    await asyncio.to_thread(gate.wait_for_call)
    closed = asyncio.create_task(held.close())
    await asyncio.sleep(0)  # the engine has been told to stop
    gate.open()
    await closed
    await held.close()
    assert [merge(await read(generation)).finish for generation in generations] == [FinishReason.STOPPED] * 3
    with pytest.raises(EngineStopped):
        held.submit(request("late"))


async def test_an_engine_that_was_never_started_can_be_closed() -> None:
    runner = ScriptedRunner()
    await make(runner).close()
    assert runner.closed


async def test_one_hand_over_per_step_serves_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop is woken once per step, however many rows decode."""
    async with make(ScriptedRunner(slots=4, reply=lambda prompt: spell("ABCDEFGH")), queue_limit=50) as engine:
        loop, woken = asyncio.get_running_loop(), 0
        real = loop.call_soon_threadsafe

        def count(callback, *arguments, context=None):  # type: ignore[no-untyped-def]
            nonlocal woken
            woken += callback == engine._take
            return real(callback, *arguments, context=context)

        monkeypatch.setattr(loop, "call_soon_threadsafe", count)
        await asyncio.gather(*(read(engine.submit(request(str(index), sampling=GREEDY))) for index in range(20)))
        assert woken <= engine.stats.steps + 1


async def test_stats_tell_who_runs_and_who_waits(held: AsyncEngine, gate: HeldGate) -> None:
    assert (held.stats.running, held.stats.waiting, held.stats.idle_slots) == (0, 0, 2)
    generations = [held.submit(request(str(index))) for index in range(4)]
    await asyncio.to_thread(gate.wait_for_call)
    gate.let_through(3)  # a prompt, then the next prompt and the first's row
    await anext(generations[1])
    assert (held.stats.running, held.stats.waiting, held.stats.idle_slots) == (2, 2, 0)
