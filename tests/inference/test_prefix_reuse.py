"""What prompts have in common is computed once, whoever shares it and whatever came between; answers do not change."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from inference.core import EngineCore
from inference.fakes import ScriptedRunner
from inference.options import EngineOptions
from inference.types import GenerationRequest, Output
from tests.inference.engine_tools import END, GREEDY, TOKEN_BYTES, request

SLOTS = 6
PLAIN = EngineOptions(chunk=16, chunk_alone=16, speculation=False)
SYSTEM = [index % 60 + 1 for index in range(40)]


class House:
    """An engine and what it answered. uniform: its decode calls leave the same traces as chunks."""

    def __init__(self, slots: int = SLOTS, *, uniform: bool = False) -> None:
        runner = ScriptedRunner(slots, max_length=400, decoding_differs=not uniform)
        self._core = EngineCore(runner, TOKEN_BYTES, frozenset({END}), replace(PLAIN, uniform=uniform))
        self._outputs: dict[str, list[Output]] = {}
        self._generator = random.Random(1)
        self._strangers = 0

    def ask(self, *requests: GenerationRequest) -> list[tuple[str, int]]:
        """The text of each answer, and the prompt tokens that were reused, when all have ended."""
        for each in requests:
            self._core.add(each)
        while self._core.busy:
            self._core.step()
        for name, output in self._core.outputs:
            self._outputs.setdefault(name, []).append(output)
        self._core.outputs = []
        return [self._whole(each.id) for each in requests]

    def serve_strangers(self, count: int) -> None:
        """Prompts that come once, one after the other."""
        for _ in range(count):
            self._strangers += 1
            self.ask(prompt_of(f"stranger {self._strangers}", [self._generator.randrange(1, 64) for _ in range(30)]))

    def _whole(self, name: str) -> tuple[str, int]:
        outputs = self._outputs[name]
        return "".join(output.text for output in outputs), outputs[-1].cached_tokens


def prompt_of(name: str, tokens: Sequence[int]) -> GenerationRequest:
    return request(name, tokens, replace(GREEDY, max_tokens=8))


def cold(each: GenerationRequest) -> str:
    [(text, cached)] = House().ask(each)
    assert cached == 0
    return text


def with_system(name: str, generator: random.Random) -> GenerationRequest:
    return prompt_of(name, [*SYSTEM, 61, *(generator.randrange(1, 64) for _ in range(generator.randrange(2, 80)))])


@pytest.mark.parametrize("together", [False, True])
def test_a_system_prompt_that_all_share_is_computed_once(together: bool) -> None:
    """One after the other, and more at a time than there are slots."""
    generator, house = random.Random(2), House()
    requests = [with_system(f"r{index}", generator) for index in range(3 * SLOTS)]
    answers = house.ask(*requests) if together else [answer for each in requests for answer in house.ask(each)]
    assert [text for text, _ in answers] == [cold(each) for each in requests]
    assert answers[0][1] == 0
    assert all(cached >= len(SYSTEM) for _, cached in answers[1:])


@pytest.mark.parametrize("together", [False, True])
def test_two_children_of_one_parent_both_reuse_it(together: bool) -> None:
    house, parent = House(), prompt_of("parent", SYSTEM)
    [(said, _)] = house.ask(parent)
    answer = [ord(letter) - 64 for letter in said]
    children = [
        prompt_of(name, [*SYSTEM, *answer, *question]) for name, question in (("a", [7, 8, 9]), ("b", [11] * 40))
    ]
    answers = house.ask(*children) if together else [house.ask(each)[0] for each in children]
    assert [text for text, _ in answers] == [cold(each) for each in children]
    assert answers[0][1] == len(SYSTEM), "the answer was decoded, which leaves other bits"
    assert answers[1][1] == len(SYSTEM) + len(answer), "the first child has read the answer"


@pytest.mark.parametrize("together", [False, True])
def test_an_answer_is_reused_where_all_calls_leave_the_same_traces(together: bool) -> None:
    """All but its last token, which no call has read."""
    house, parent = House(uniform=True), prompt_of("parent", SYSTEM)
    [(said, _)] = house.ask(parent)
    answer = [ord(letter) - 64 for letter in said]
    children = [
        prompt_of(name, [*SYSTEM, *answer, *question]) for name, question in (("a", [7, 8, 9]), ("b", [11] * 40))
    ]
    answers = house.ask(*children) if together else [house.ask(each)[0] for each in children]
    assert [text for text, _ in answers] == [House(uniform=True).ask(each)[0][0] for each in children]
    assert answers[0][1] == len(SYSTEM) + len(answer) - 1


def test_a_prefix_that_was_driven_out_is_computed_again() -> None:
    house, generator = House(), random.Random(3)
    first, again = with_system("first", generator), with_system("again", generator)
    house.ask(first)
    house.serve_strangers(SLOTS)
    assert house.ask(again) == [(cold(again), 0)]


def test_prompts_that_come_once_do_not_drive_out_what_many_share() -> None:
    house, generator = House(), random.Random(4)
    for index in range(2):
        house.ask(with_system(f"r{index}", generator))
    house.serve_strangers(10 * SLOTS)
    last = with_system("last", generator)
    [(text, cached)] = house.ask(last)
    assert (text, cached) == (cold(last), len(SYSTEM) + 1)


def test_what_many_shared_goes_when_more_is_shared_than_half_of_the_slots_hold() -> None:
    house, generator = House(), random.Random(5)
    house.ask(with_system("r0", generator))
    house.ask(with_system("r1", generator))
    for index in range(SLOTS):
        shared = [generator.randrange(1, 64) for _ in range(30)]
        for turn in range(2):
            house.ask(prompt_of(f"shared {index}.{turn}", [*shared, *(generator.randrange(1, 64) for _ in range(9))]))
    house.serve_strangers(SLOTS)
    assert house.ask(with_system("last", generator))[0][1] == 0


def test_a_new_conversation_outlives_some_prompts_that_come_once_although_others_are_spared() -> None:
    house, generator = House(), random.Random(6)
    for index in range(SLOTS):
        shared = [generator.randrange(1, 64) for _ in range(30)]
        for turn in range(2):
            house.ask(prompt_of(f"shared {index}.{turn}", [*shared, *(generator.randrange(1, 64) for _ in range(9))]))
    opening = prompt_of("opening", [*range(1, 30)])
    [(said, _)] = house.ask(opening)
    house.serve_strangers(SLOTS // 2 - 1)
    follow_up = prompt_of("follow-up", [*opening.prompt, *(ord(letter) - 64 for letter in said), 5, 6, 7])
    assert house.ask(follow_up)[0][1] == len(opening.prompt)


@pytest.mark.parametrize("slots", [1, 2, 5])
def test_a_forest_of_conversations_under_load_is_answered_as_it_would_be_without_reuse(slots: int) -> None:
    """Requests grow out of each other at random, in waves larger than the slots; every answer is compared."""
    generator, house = random.Random(slots), House(slots)
    prompts = [SYSTEM]
    hits = 0
    for wave in range(6):
        requests = []
        for index in range(7):
            stem = generator.choice(prompts)
            tokens = stem[: generator.randrange(1, len(stem) + 1)]
            tokens = tokens + [generator.randrange(1, 64) for _ in range(generator.randrange(1, 20))]
            requests.append(prompt_of(f"{wave}.{index}", tokens))
            prompts.append(tokens)
        answers = house.ask(*requests)
        assert [text for text, _ in answers] == [cold(each) for each in requests]
        hits += sum(cached > 0 for _, cached in answers)
    assert hits > 10
