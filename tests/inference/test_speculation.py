"""Speculation changes how fast a lone answer comes, and nothing that is in it."""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest

from inference.bitmask import Bitmask, only
from inference.core import EngineCore
from inference.fakes import ScriptedRunner
from inference.options import EngineOptions
from inference.runner import Logits
from inference.sampling.parameters import DryParams, SamplingParams
from inference.types import EngineStats, FinishReason, GenerationRequest, Output
from tests.inference.engine_tools import END, GREEDY, TOKEN_BYTES, generate, request, spell

ON, OFF = EngineOptions(), EngineOptions(speculation=False)
PASSAGE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
COPY = request("copy", spell(PASSAGE), replace(GREEDY, max_tokens=40))


class Copier(ScriptedRunner):
    """Logits that are pseudo-random, and favour the token which followed the same two tokens before."""

    def _logits(self, slot: int, length: int) -> Logits:
        logits = super()._logits(slot, length)
        held = (self._cache[slot, :length] % self.vocab_size).tolist()
        for place in range(2, length):
            if held[place - 2 : place] == held[-2:]:
                logits[held[place]] += 6
        return logits


def run(
    runner: ScriptedRunner, options: EngineOptions, *requests: GenerationRequest
) -> tuple[list[Output], EngineStats]:
    """All outputs in the order of their steps, and the counters."""
    core = EngineCore(runner, TOKEN_BYTES, frozenset({END}), options)
    for each in requests:
        core.add(each)
    while core.busy:
        core.step()
    return [output for _, output in core.outputs], core.stats


def whole(outputs: Sequence[Output]) -> tuple[str, int, FinishReason | None]:
    return "".join(output.text for output in outputs), sum(output.tokens for output in outputs), outputs[-1].finish


def random_request(seed: int) -> GenerationRequest:
    """Any parameters that there are, over few tokens, so that all of them repeat themselves."""
    generator = random.Random(seed)
    letters = generator.randrange(4, 40)
    prompt = [generator.randrange(1, letters) for _ in range(generator.randrange(2, 60))]
    sampling = SamplingParams(
        temperature=generator.choice([0.0, 0.3, 1.0]),
        top_p=generator.choice([1.0, 0.9]),
        top_k=generator.choice([0, 5]),
        seed=seed,
        presence_penalty=generator.choice([0.0, 0.5]),
        frequency_penalty=generator.choice([0.0, 0.2]),
        repetition_penalty=generator.choice([1.0, 1.1]),
        logit_bias=generator.choice([(), ((3, 1.5),)]),
        dry=generator.choice([None, DryParams(0.5, base=1.75, allowed_length=4, sequence_breakers=())]),
        logprobs=generator.choice([None, 2]),
        max_tokens=generator.randrange(1, 100),
        stop=generator.choice([(), ("AB", "C"), ("BCDEF",)]),
    )
    return request("r", prompt, sampling)


@pytest.mark.parametrize("end_token", [END, 63])
def test_answers_are_the_same_with_and_without_speculation_whatever_the_parameters(end_token: int) -> None:
    """Log-probabilities, token counts and the reason for the end included."""
    accepted = drafted = 0
    for seed in range(200):
        each = random_request(seed)
        with_it, stats = run(Copier(slots=2, end_token=end_token), ON, each)
        without, _ = run(Copier(slots=2, end_token=end_token), OFF, each)
        assert whole(with_it) == whole(without)
        assert [logprob for output in with_it for logprob in output.logprobs] == [
            logprob for output in without for logprob in output.logprobs
        ]
        accepted, drafted = accepted + stats.accepted_tokens, drafted + stats.drafted_tokens
    assert drafted > accepted > 200, "many drafts were right, and some were not"


def test_an_answer_that_copies_its_prompt_takes_few_calls() -> None:
    outputs, stats = run(ScriptedRunner(reply=lambda prompt: spell(PASSAGE)), ON, COPY)
    assert whole(outputs) == (PASSAGE, 27, FinishReason.STOP)
    assert stats.verify_calls + stats.decode_calls < 12
    assert stats.accepted_tokens + stats.verify_calls + stats.decode_calls == 26, "the first token is the prompt's"
    assert stats.decode_tokens == stats.decode_calls
    assert stats.verify_seconds > 0


class Form:
    """Lets one answer pass, and says of the parts within brackets that they have to come: as they do, or wrongly."""

    def __init__(self, answer: str, *, right: bool) -> None:
        self._parts = [spell(part) for part in re.split("[()]", answer)]
        self._right = right
        self.finished = False
        self._place = 0
        self._tokens = [token for part in self._parts for token in part]

    def allows(self, token: int) -> bool:
        return token == self._tokens[self._place]

    def bitmask(self, logits: Logits) -> Bitmask:
        return only(len(logits), [self._tokens[self._place]])

    def forced(self) -> Sequence[int]:
        end = 0
        for number, part in enumerate(self._parts):
            end += len(part)
            if self._place < end:
                left = self._tokens[self._place : end] if number % 2 else []
                return left if self._right else [token + 1 for token in left]
        return ()

    def accept(self, token: int) -> None:
        assert self.allows(token)
        self._place += 1
        self.finished = self._place == len(self._tokens)


@pytest.mark.parametrize("sampling", [GREEDY, SamplingParams(seed=3), SamplingParams(top_k=5, logprobs=2)], ids=str)
def test_what_a_grammar_leaves_no_choice_about_is_verified_in_one_call(sampling: SamplingParams) -> None:
    text = "A(BCDEF)G(HIJ)K(LMNOPQRSTUVW)"
    answer = text.replace("(", "").replace(")", "")
    calls = {}
    for options in (ON, OFF):
        each = GenerationRequest("r", (1, 2, 3), replace(sampling, max_tokens=50), constraint=Form(text, right=True))
        outputs, stats = run(ScriptedRunner(), options, each)
        assert whole(outputs) == (answer, len(answer), FinishReason.STOP)
        calls[options] = stats.verify_calls + stats.decode_calls
    assert calls == {ON: 3, OFF: len(answer) - 1}, "the first token is the prompt's; a call draws what follows, too"


def test_what_is_forced_wrongly_costs_a_few_tokens_and_changes_none() -> None:
    """A model may split a text as its tokenizer would not."""
    text = "A(BCDEF)" * 20
    each = GenerationRequest("r", (1, 2, 3), replace(GREEDY, max_tokens=200), constraint=Form(text, right=False))
    outputs, stats = run(ScriptedRunner(), ON, each)
    assert whole(outputs) == ("ABCDEF" * 20, 120, FinishReason.STOP)
    assert stats.drafted_tokens < 50


def test_nothing_is_drafted_where_it_is_switched_off() -> None:
    for options in (OFF, replace(ON, deterministic=True)):
        outputs, stats = run(ScriptedRunner(reply=lambda prompt: spell(PASSAGE)), options, COPY)
        assert whole(outputs)[0] == PASSAGE
        assert (stats.drafted_tokens, stats.decode_calls) == (0, 26)


def test_nothing_is_drafted_in_company() -> None:
    """Two that copy at the same time, and one prompt that is read beside them."""
    runner = ScriptedRunner(reply=lambda prompt: spell(PASSAGE * 2))
    requests = [replace(COPY, id=name, sampling=replace(GREEDY, max_tokens=50)) for name in ("a", "b")]
    _, stats = run(runner, ON, *requests)
    assert (stats.decode_calls, stats.drafted_tokens) == (50, 0), "the last one has no room for a draft"


def test_the_last_one_that_runs_is_drafted_again() -> None:
    runner = ScriptedRunner(reply=lambda prompt: spell(PASSAGE * 2), slots=2)
    long, short = (
        replace(COPY, id=name, sampling=replace(GREEDY, max_tokens=tokens)) for name, tokens in (("l", 50), ("s", 10))
    )
    outputs, stats = run(runner, ON, long, short)
    assert stats.accepted_tokens > 20
    assert sum(output.tokens for output in outputs) == 60


def test_a_stop_text_inside_a_draft_ends_the_answer_there() -> None:
    stopping = replace(COPY, sampling=replace(COPY.sampling, stop=("RST",)))
    outputs, stats = run(ScriptedRunner(reply=lambda prompt: spell(PASSAGE)), ON, stopping)
    assert whole(outputs) == (PASSAGE[:17], 20, FinishReason.STOP)
    assert stats.accepted_tokens > 8


def test_max_tokens_and_the_end_of_the_slot_bound_a_draft() -> None:
    runner = ScriptedRunner(reply=lambda prompt: spell(PASSAGE), max_length=40)
    outputs, _ = run(runner, ON, COPY)
    assert whole(outputs) == (PASSAGE[:14], 14, FinishReason.LENGTH)
    outputs, _ = run(runner, ON, replace(COPY, sampling=replace(GREEDY, max_tokens=9)))
    assert whole(outputs) == (PASSAGE[:9], 9, FinishReason.LENGTH)


def test_a_prompt_is_reused_after_its_answer_was_drafted_and_the_answer_is_not() -> None:
    runner = ScriptedRunner(reply=lambda prompt: spell(PASSAGE), decoding_differs=True)
    core = EngineCore(runner, TOKEN_BYTES, frozenset({END}), ON)
    cached = []
    for name, prompt in (("a", spell(PASSAGE)), ("b", spell(PASSAGE * 2))):
        core.add(replace(COPY, id=name, prompt=tuple(prompt)))
        while core.busy:
            core.step()
        cached.append(core.outputs[-1][1].cached_tokens)
    assert cached == [0, 26]


def test_a_failed_verify_call_ends_its_sequence_alone() -> None:
    runner = FailingVerify(reply=lambda prompt: spell(PASSAGE))
    outputs = generate(runner, COPY, options=ON)
    assert outputs["copy"].finish is FinishReason.FAILED
    assert generate(runner, replace(COPY, prompt=(1, 2, 3)), options=ON)["copy"].text == PASSAGE


class FailingVerify(ScriptedRunner):
    """Calls that verify drafts never succeed; it serves several engines."""

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        if rows > 1:
            raise RuntimeError("scripted failure of a verify call")
        return super().prefill(slot, tokens, start, rows)

    def close(self) -> None:
        pass


def test_logits_that_are_not_numbers_fail_the_sequence_that_was_drafted() -> None:
    outputs, stats = run(NotANumber(reply=lambda prompt: spell(PASSAGE)), ON, COPY)
    assert outputs[-1].finish is FinishReason.FAILED
    assert stats.verify_calls == 1


class NotANumber(ScriptedRunner):
    """The second row of a verify call is nonsense."""

    def prefill(self, slot: int, tokens: Sequence[int], start: int, rows: int) -> Logits:
        logits = super().prefill(slot, tokens, start, rows)
        if rows > 1:
            logits[1] = float("nan")
        return logits
