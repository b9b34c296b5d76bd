"""With the served graph: equal requests with equal seeds get equal tokens whatever else runs, and hits change nothing.

The 4-bit graph rounds its activations, so what differs in the last bits shows in the text sooner or later.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import pytest

from inference.core import EngineCore
from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import choose_provider
from inference.options import EngineOptions
from inference.runner import Runner
from inference.sampling.logprobs import Logprob
from inference.sampling.parameters import SamplingParams
from inference.types import GenerationRequest, Output, Precision

SLOTS = 16
LOADS = [
    pytest.param(10, 14, 60, id="brief"),
    pytest.param(160, 60, 700, id="long", marks=pytest.mark.slow),
]


@dataclass(frozen=True)
class Model:
    runner: Runner
    token_bytes: list[bytes]
    end_tokens: frozenset[int]

    def core(self, *, chunk: int = 256, deterministic: bool = True) -> EngineCore:
        """An engine that remembers nothing of earlier ones."""
        options = EngineOptions(chunk=chunk, chunk_alone=chunk, deterministic=deterministic, speculation=False)
        return EngineCore(self.runner, self.token_bytes, self.end_tokens, options)


@pytest.fixture(scope="module")
def model(converted: Callable[[Precision], ModelDirectory]) -> Iterator[Model]:
    directory = converted("int4")
    provider = choose_provider("cpu")
    runner = load_runner(directory.graph_path, directory.config, provider, threads=2, slots=SLOTS, context=1024)
    token_bytes = directory.tokenizer.token_bytes()
    token_bytes += [b""] * (runner.vocab_size - len(token_bytes))
    yield Model(runner, token_bytes, directory.config.eos_token_ids)
    runner.close()


def random_requests(count: int, longest_answer: int, longest_prompt: int) -> list[GenerationRequest]:
    """Some greedy, some drawn; many share a beginning, and some are the same but for their ids."""
    generator = random.Random(count)
    stems = [[generator.randrange(20, 40_000) for _ in range(longest_prompt)] for _ in range(3)]
    requests: list[GenerationRequest] = []
    for index in range(count):
        if requests and generator.random() < 0.2:
            requests.append(replace(generator.choice(requests), id=f"r{index}"))
            continue
        prompt = generator.choice(stems)[: generator.randrange(longest_prompt)]
        prompt = prompt + [generator.randrange(20, 40_000) for _ in range(generator.randrange(2, 30))]
        sampling = SamplingParams(
            temperature=generator.choice([0.0, 0.7, 1.0]),
            seed=index,
            frequency_penalty=generator.choice([0.0, 0.5]),
            max_tokens=generator.randrange(1, longest_answer),
        )
        requests.append(GenerationRequest(f"r{index}", tuple(prompt), sampling))
    return requests


def step(core: EngineCore, answers: dict[str, list[Output]]) -> None:
    core.step()
    for name, output in core.outputs:
        answers.setdefault(name, []).append(output)
    core.outputs = []


def whole(outputs: list[Output]) -> tuple[str, int]:
    return "".join(output.text for output in outputs), sum(output.tokens for output in outputs)


def logprobs(outputs: list[Output]) -> list[Logprob]:
    return [logprob for output in outputs for logprob in output.logprobs]


def alone(model: Model, each: GenerationRequest, *, deterministic: bool = True) -> tuple[str, int]:
    answers: dict[str, list[Output]] = {}
    core = model.core(deterministic=deterministic)
    core.add(each)
    while core.busy:
        step(core, answers)
    return whole(answers[each.id])


def under_load(model: Model, requests: list[GenerationRequest], chunk: int) -> Mapping[str, list[Output]]:
    """They come at random steps, some together, and find what others left; lulls leave some of them alone."""
    generator, waiting, answers = random.Random(chunk), list(requests), dict[str, list[Output]]()
    core = model.core(chunk=chunk)
    while core.busy or waiting:
        while waiting and (not core.busy or generator.random() < 0.3):
            core.add(waiting.pop())
        step(core, answers)
    return answers


@pytest.mark.parametrize(("count", "longest_answer", "longest_prompt"), LOADS)
def test_answers_are_the_same_alone_and_under_load_however_prompts_are_cut_and_found(
    model: Model, count: int, longest_answer: int, longest_prompt: int
) -> None:
    requests = random_requests(count, longest_answer, longest_prompt)
    expected = {each.id: alone(model, each) for each in requests}
    for chunk in (9, 64):
        answers = under_load(model, requests, chunk)
        assert {name: whole(outputs) for name, outputs in answers.items()} == expected
        assert sum(outputs[-1].cached_tokens > 0 for outputs in answers.values()) > count // 4


def test_two_children_of_one_parent_get_the_log_probabilities_that_they_get_without_a_hit(model: Model) -> None:
    """Of every token and its alternatives, to the bit: what is reused is what would be computed."""
    generator = random.Random(5)
    parent = tuple(generator.randrange(20, 40_000) for _ in range(90))
    sampling = SamplingParams(temperature=0, max_tokens=12, logprobs=5)
    family = [GenerationRequest("parent", parent, sampling)]
    for name in ("one", "other"):
        family.append(
            GenerationRequest(name, (*parent, *(generator.randrange(20, 40_000) for _ in range(20))), sampling)
        )
    core, answers = model.core(), dict[str, list[Output]]()
    for each in family:
        core.add(each)
        while core.busy:
            step(core, answers)
    for each in family:
        cold: dict[str, list[Output]] = {}
        core = model.core()
        core.add(each)
        while core.busy:
            step(core, cold)
        assert logprobs(answers[each.id]) == logprobs(cold[each.id])
    assert [answers[each.id][-1].cached_tokens for each in family] == [0, 90, 90]
