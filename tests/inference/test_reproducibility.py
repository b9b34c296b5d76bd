"""With the served graphs: equal requests with equal seeds get equal tokens whatever else runs, and hits change nothing:
with our own kernels always, with ONNX Runtime's under the setting.

The 4-bit graph rounds its activations, so what differs in the last bits shows in the text sooner or later.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from inference.core import EngineCore
from inference.costs import costs_with
from inference.gguf.convert import ensure_converted
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import Grammar, GrammarKind
from inference.grammar.matcher import GrammarMatcher
from inference.grammar.vocabulary import Vocabulary
from inference.model import ModelDirectory
from inference.onnx.loading import load_runner
from inference.onnx.provider import choose_provider
from inference.options import EngineOptions
from inference.runner import Logits, Runner
from inference.sampling.logprobs import Logprob
from inference.sampling.parameters import SamplingParams
from inference.scheduler import chunk_length
from inference.tokenizer import Tokenizer
from inference.types import GenerationRequest, Output

SLOTS = 16
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "mood": {"enum": ["good", "bad"]}},
    "required": ["name", "mood"],
    "additionalProperties": False,
}
PEOPLE = json.dumps({"type": "array", "items": PERSON, "minItems": 9})
LOADS = [
    pytest.param(10, 14, 60, id="brief"),
    pytest.param(160, 60, 700, id="long", marks=pytest.mark.slow),
]


@dataclass(frozen=True)
class Model:
    runner: Runner
    token_bytes: list[bytes]
    end_tokens: frozenset[int]
    tokenizer: Tokenizer
    operators: Path | None  # our own: then the setting is not needed

    @property
    def kernels(self) -> bool:
        return self.operators is not None

    def core(self, *, chunk: int = 256, drafting: bool = True) -> EngineCore:
        """An engine that remembers nothing of earlier ones."""
        options = EngineOptions(
            chunk=chunk,
            chunk_alone=chunk,
            deterministic=not self.kernels,
            speculation=self.kernels and drafting,
            costs=costs_with(own_attention=self.kernels),
            uniform=self.kernels,
            kernels=self.operators,
        )
        return EngineCore(self.runner, self.token_bytes, self.end_tokens, options)


@pytest.fixture(scope="module", params=[True, False], ids=["answerd's kernels", "ONNX Runtime's, deterministic"])
def model(request: pytest.FixtureRequest, model_file: Path, model_cache: Path) -> Iterator[Model]:
    operators: Path | None = request.getfixturevalue("own_kernels") if request.param else None
    converted = ensure_converted(model_file, model_cache, "int4", lambda done: None, kernels=request.param)
    directory = ModelDirectory.open(converted)
    runner = load_runner(
        directory.graph_path,
        directory.config,
        choose_provider("cpu"),
        threads=2,
        slots=SLOTS,
        context=1024,
        operators=operators,
    )
    token_bytes = directory.tokenizer.token_bytes()
    token_bytes += [b""] * (runner.vocab_size - len(token_bytes))
    yield Model(runner, token_bytes, directory.config.eos_token_ids, directory.tokenizer, operators)
    runner.close()


@pytest.fixture(scope="module")
def people(model: Model) -> Iterator[GrammarMatcher]:
    """Held to an array of small objects, at its beginning."""
    vocabulary = Vocabulary.of(model.token_bytes, model.tokenizer.special_tokens, model.end_tokens)
    compiler = GrammarCompiler(vocabulary, model.tokenizer.split)
    yield compiler.compile(Grammar(GrammarKind.JSON_SCHEMA, PEOPLE))
    compiler.close()


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
            logit_bias=generator.choice([(), ((1000, 3.0), (2000, -3.0))]),
            top_k=generator.choice([0, 0, 30]),
            top_p=generator.choice([1.0, 1.0, 0.9]),
            min_p=generator.choice([0.0, 0.0, 0.02]),
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


def alone(model: Model, each: GenerationRequest) -> tuple[str, int]:
    answers: dict[str, list[Output]] = {}
    core = model.core(drafting=False)
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


def logits_after(model: Model, tokens: list[int], size: int) -> Logits:
    start = 0
    while start < len(tokens):
        length = chunk_length(len(tokens) - start, size)
        logits = model.runner.prefill(0, tokens[start : start + length], start, rows=1)
        start += length
    return logits.copy()


@pytest.mark.parametrize("length", [128, 129, 130, 257])
def test_a_prompt_of_a_token_more_than_whole_tiles_is_read_as_any_other(model: Model, length: int) -> None:
    generator = random.Random(length)
    tokens = [generator.randrange(20, 40_000) for _ in range(length)]
    np.testing.assert_array_equal(logits_after(model, tokens, 512), logits_after(model, tokens, 9))


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


def test_a_follow_up_on_an_answer_has_the_log_probabilities_that_it_has_without_a_hit(model: Model) -> None:
    """With our own kernels the answer is found, too, but for its last token, which no call has read."""
    generator = random.Random(6)
    prompt = tuple(generator.randrange(20, 40_000) for _ in range(90))
    sampling = SamplingParams(temperature=0, max_tokens=30, logprobs=5)
    core, answers = model.core(), dict[str, list[Output]]()
    core.add(GenerationRequest("first", prompt, sampling))
    while core.busy:
        step(core, answers)
    answer = [logprob.token for logprob in logprobs(answers["first"])]
    following = [generator.randrange(20, 40_000) for _ in range(20)]
    second = GenerationRequest("second", (*prompt, *answer, *following), sampling)
    cold: dict[str, list[Output]] = {}
    for each, found in ((core, answers), (model.core(drafting=False), cold)):
        each.add(second)
        while each.busy:
            step(each, found)
    assert logprobs(answers["second"]) == logprobs(cold["second"])
    assert answers["second"][-1].cached_tokens == (90 + len(answer) - 1 if model.kernels else 90)


def test_an_answer_that_is_drafted_and_verified_has_the_log_probabilities_of_one_that_is_not(model: Model) -> None:
    """Under the setting nothing is drafted; with our own kernels nothing has to be kept from it."""
    generator = random.Random(7)
    passage = [generator.randrange(20, 40_000) for _ in range(25)]
    each = GenerationRequest("copy", tuple(passage * 4), SamplingParams(temperature=0, max_tokens=80, logprobs=3))
    answers: list[list[Logprob]] = []
    for drafting in (True, False):
        core, found = model.core(drafting=drafting), dict[str, list[Output]]()
        core.add(each)
        while core.busy:
            step(core, found)
        answers.append(logprobs(found["copy"]))
        assert (core.stats.accepted_tokens > 10) == (drafting and model.kernels)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("sampling", [{"temperature": 1.0}, {"temperature": 0.8, "top_p": 0.9}], ids=str)
def test_a_constrained_answer_is_the_same_alone_among_others_and_drafted(
    model: Model, people: GrammarMatcher, sampling: dict[str, float]
) -> None:
    """What its grammar leaves no choice about is drafted where it is alone."""
    asked = SamplingParams(seed=5, max_tokens=50, logprobs=2, **sampling)  # type: ignore[arg-type]
    prompt = tuple(random.Random(3).randrange(20, 40_000) for _ in range(20))
    answers, drafted = [], []
    for drafting, others in ((True, 0), (False, 0), (True, 5)):
        core, found = model.core(drafting=drafting), dict[str, list[Output]]()
        core.add(GenerationRequest("people", prompt, asked, constraint=people.fork()))
        core.add(*(replace(each, prompt=prompt[:9]) for each in random_requests(others, 60, 9)))
        while core.busy:
            step(core, found)
        answers.append((whole(found["people"]), logprobs(found["people"])))
        drafted.append(core.stats.accepted_tokens)
    assert answers[0] == answers[1] == answers[2]
    assert (drafted[0] > 15) == model.kernels
    assert drafted[1] == 0
    assert answers[0][0][0].startswith('[{"name": "')
