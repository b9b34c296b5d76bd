"""Which model is loaded when, who waits for it, and who has to make room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from inference.sampling.parameters import SamplingParams
from inference.stream import Generation
from inference.types import GenerationRequest, ModelFileError, QueueFull
from service.errors import Reason, ServiceError, TryLater
from service.models.catalogue import RETRY_SECONDS, Models
from tests.service.models.conftest import Shelf
from tests.service.scripted_model import WAIT, Clock, a_spec, encode
from tests.service.served import catalogue


@asynccontextmanager
async def three(shelf: Shelf, slots: int = 4, **options: Any) -> AsyncIterator[Models]:
    """Models a, b and c, of which a is loaded. options: what `catalogue` takes."""
    models, _ = catalogue([a_spec(name, slots=slots) for name in "abc"], shelf, **options)
    await models.start()
    try:
        yield models
    finally:
        shelf.let_go()
        await models.close()


async def name_of(models: Models, name: str) -> str:
    async with models.use(name) as model:
        return model.name


def loaded(models: Models) -> list[str]:
    return [card.id for card in models.cards() if card.loaded]


async def test_the_first_model_is_loaded_at_the_start_and_is_the_default(shelf: Shelf) -> None:
    async with three(shelf) as models:
        assert shelf.loads == ["a"]
        assert await name_of(models, "default") == "a"
        assert await name_of(models, "a") == "a"
        assert shelf.loads == ["a"]


async def test_another_is_loaded_when_it_is_first_asked_for_and_stays(shelf: Shelf) -> None:
    async with three(shelf) as models:
        assert [(card.id, card.loaded) for card in models.cards()] == [("a", True), ("b", False), ("c", False)]
        assert [await name_of(models, "b"), await name_of(models, "b")] == ["b", "b"]
        assert shelf.loads == ["a", "b"]
        assert loaded(models) == ["a", "b"]


async def test_those_that_are_wanted_at_the_start_are_loaded_then(shelf: Shelf) -> None:
    models, _ = catalogue([a_spec("a"), a_spec("b"), a_spec("c", at_start=True)], shelf)
    await models.start()
    assert shelf.loads == ["a", "c"]
    await models.close()


async def test_a_name_that_is_not_served_is_refused(shelf: Shelf) -> None:
    async with three(shelf) as models:
        for name in ("d", "A", "", "aa"):
            with pytest.raises(ServiceError) as used:
                await name_of(models, name)
            with pytest.raises(ServiceError) as shown:
                models.card(name)
            for error in (used.value, shown.value):
                assert (error.reason, error.param) == (Reason.MODEL_NOT_FOUND, "model")


async def test_two_who_ask_at_once_load_it_once(shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with three(shelf) as models:
        asking = [asyncio.create_task(name_of(models, "b")) for _ in range(5)]
        await shelf.until_loading("b")
        assert await name_of(models, "a") == "a"  # others are served meanwhile
        shelf.let_go()
        assert await asyncio.gather(*asking) == ["b"] * 5
        assert shelf.loads == ["a", "b"]


async def test_one_who_leaves_while_it_loads_leaves_the_others_waiting(shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with three(shelf) as models:
        leaving, staying = (asyncio.create_task(name_of(models, "b")) for _ in range(2))
        await shelf.until_loading("b")
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        shelf.let_go()
        assert await staying == "b"


async def test_a_load_that_everybody_left_goes_on(shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with three(shelf) as models:
        asking = asyncio.create_task(name_of(models, "b"))
        await shelf.until_loading("b")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        shelf.let_go()
        assert await name_of(models, "b") == "b"
        assert shelf.loads == ["a", "b"]


async def test_no_more_wait_for_a_model_than_it_could_take(shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with three(shelf, queue=2, slots=1) as models:
        asking = [asyncio.create_task(name_of(models, "b")) for _ in range(3)]
        await shelf.until_loading("b")
        with pytest.raises(QueueFull):
            await name_of(models, "b")
        shelf.let_go()
        assert await asyncio.gather(*asking) == ["b"] * 3


async def test_a_model_that_cannot_be_loaded_fails_its_callers_and_no_others(shelf: Shelf) -> None:
    shelf.broken.add("b")
    async with three(shelf) as models:
        asking = [asyncio.create_task(name_of(models, "b")) for _ in range(2)]
        for failed in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(failed, ServiceError)
            assert failed.reason is Reason.MODEL_ERROR
            assert failed.message == "The model 'b' could not be loaded; the server's log says why."
        assert await name_of(models, "a") == "a"
        assert await name_of(models, "c") == "c"
        assert models.failure is None


async def test_a_model_that_failed_is_tried_again_after_a_while(shelf: Shelf) -> None:
    shelf.broken.add("b")
    clock = Clock(0)
    models, _ = catalogue([a_spec("a"), a_spec("b")], shelf, steady=clock)
    await models.start()
    for _ in range(2):
        with pytest.raises(ServiceError):
            await name_of(models, "b")
    assert shelf.loads == ["a", "b"]
    shelf.broken.clear()
    clock.now = RETRY_SECONDS
    assert await name_of(models, "b") == "b"
    await models.close()


async def test_a_default_model_that_cannot_be_loaded_ends_the_start(shelf: Shelf) -> None:
    shelf.broken.add("a")
    models, _ = catalogue([a_spec("a"), a_spec("b")], shelf)
    with pytest.raises(ModelFileError, match="a is broken"):
        await models.start()


async def test_another_that_cannot_be_loaded_does_not(shelf: Shelf) -> None:
    shelf.broken.add("b")
    models, _ = catalogue([a_spec("a"), a_spec("b", at_start=True)], shelf)
    await models.start()
    assert loaded(models) == ["a"]
    await models.close()


async def test_where_memory_is_short_the_one_unused_for_longest_goes(shelf: Shelf) -> None:
    async with three(shelf, memory=20) as models:
        await name_of(models, "b")
        await name_of(models, "a")
        await name_of(models, "c")
        assert loaded(models) == ["a", "c"]
        assert await name_of(models, "b") == "b"
        assert loaded(models) == ["b", "c"]
        assert shelf.loads == ["a", "b", "c", "b"]


async def test_as_many_go_as_are_in_the_way_and_no_more(shelf: Shelf) -> None:
    shelf.sizes |= {"a": 5, "b": 5, "c": 12}
    async with three(shelf, memory=20) as models:
        await name_of(models, "b")
        await name_of(models, "c")
        assert loaded(models) == ["b", "c"]
        shelf.sizes["a"] = 20
        await name_of(models, "a")
        assert loaded(models) == ["a"]


async def test_what_was_measured_counts_and_not_what_was_expected(shelf: Shelf) -> None:
    shelf.sizes["b"], shelf.expected["b"] = 15, 1
    async with three(shelf, memory=20) as models:
        await name_of(models, "b")
        assert loaded(models) == ["b"]


async def test_a_model_larger_than_the_bound_is_refused_and_moves_nobody(shelf: Shelf) -> None:
    shelf.sizes["b"] = 21
    async with three(shelf, memory=20) as models:
        with pytest.raises(ServiceError) as caught:
            await name_of(models, "b")
        assert caught.value.reason is Reason.MODEL_ERROR
        assert loaded(models) == ["a"]
        assert "b" not in shelf.loads


async def begin(models: Models, shelf: Shelf, name: str) -> Generation:
    """A request that runs until the gate of its model is opened."""
    shelf.gate(name).hold_after(0)
    async with models.use(name) as model:
        sampling = SamplingParams(temperature=0, max_tokens=5)
        return model.engine.submit(GenerationRequest("r", encode("hello"), sampling))


async def test_a_model_that_runs_a_request_is_never_unloaded(shelf: Shelf) -> None:
    async with three(shelf, memory=10, patience=0.05) as models:
        generation = await begin(models, shelf, "a")
        with pytest.raises(TryLater):
            await name_of(models, "b")
        assert loaded(models) == ["a"]
        shelf.gate("a").open()
        assert [output.finish async for output in generation][-1] is not None
        assert await name_of(models, "b") == "b"


async def test_who_waits_for_room_gets_it_when_the_last_request_of_another_model_ends(shelf: Shelf) -> None:
    async with three(shelf, memory=10) as models:
        generation = await begin(models, shelf, "a")
        waiting = asyncio.create_task(name_of(models, "b"))
        shelf.gate("a").open()
        assert [output.finish async for output in generation][-1] is not None
        assert await waiting == "b"
        assert loaded(models) == ["b"]


async def test_who_waits_for_room_gets_it_when_a_caller_leaves(shelf: Shelf) -> None:
    async with three(shelf, memory=10) as models:
        async with models.use("a"):
            waiting = asyncio.create_task(name_of(models, "b"))
            await shelf.until_preparing("b")
        assert await waiting == "b"


async def test_a_model_that_finds_no_room_in_time_is_refused_for_now(shelf: Shelf) -> None:
    async with three(shelf, memory=10, patience=0.05) as models, models.use("a"):
        with pytest.raises(TryLater) as caught:
            await name_of(models, "b")
        assert caught.value.reason is Reason.UNAVAILABLE
        assert loaded(models) == ["a"]


async def test_those_who_wait_when_the_server_stops_are_told(shelf: Shelf) -> None:
    shelf.holding.add("b")
    async with three(shelf) as models:
        asking = asyncio.create_task(name_of(models, "b"))
        await shelf.until_loading("b")
        models.stop_loading()
        with pytest.raises(TryLater) as caught:
            await asking
        assert caught.value.reason is Reason.UNAVAILABLE
        with pytest.raises(TryLater):
            await name_of(models, "c")
        assert await name_of(models, "a") == "a"


async def test_an_engine_that_breaks_is_replaced_where_there_are_others(shelf: Shelf) -> None:
    async with three(shelf) as models:
        async with models.use("b") as model:
            model.engine.broken.set()
        # Whoever comes next finds it gone.
        assert await name_of(models, "c") == "c"
        assert loaded(models) == ["a", "c"]
        assert not models.broken.is_set()
        assert await name_of(models, "b") == "b"


async def test_an_engine_that_breaks_is_fatal_where_it_is_the_only_one(shelf: Shelf) -> None:
    models, loaded = catalogue([a_spec("a")], shelf)
    await models.start()
    loaded[0].engine.broken.set()
    await asyncio.wait_for(models.broken.wait(), WAIT)
    await models.close()
