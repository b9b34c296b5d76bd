"""`python -m bench.tool_choice`: how well the default model chooses between a call and words under `auto`.

The rule's scores over the tuning half, for its threshold; then both halves as a client sees them. See bench/LOG.md.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bench.engine_peer import load_engine
from bench.machine import machine_facts
from bench.models import open_model
from bench.options import add_places
from bench.product import ProductError, running_product
from bench.report import grid, write_json
from bench.sse_client import ClientError
from inference.call_choice import THRESHOLD, CallChoice, beginnings_of, openings_of
from inference.constraint import Constraint
from inference.gguf.packaged import packaged_model
from inference.runner import Logits
from inference.sampling.parameters import SamplingParams
from inference.types import GenerationRequest, ModelFileError
from service.output.parser import CALL
from service.tools.preamble import preamble
from tests.support.tool_questions import HALVES, Question, Share, Tally, called, questions, tally

HEADINGS = ("threshold", "need a tool, above", "need none, above")
SWEEP = (-14.0, -13.5, -13.0, -12.75, -12.5, -12.25, -12.0, -11.5, -11.0)
ROOM = 64  # tokens of an answer: a call that words lead to mostly comes by then
CONTEXT = 2048


class Anything(Constraint):
    """Lets every token pass."""

    @property
    def finished(self) -> bool:
        return False

    def allows(self, token: int) -> bool:
        return True

    def bitmask(self, logits: Logits) -> None:
        pass

    def forced(self) -> Sequence[int]:
        return ()

    def accept(self, token: int) -> None:
        pass


async def scores(gguf: Path, cache: Path, asked: Sequence[Question]) -> list[float]:
    """What the rule makes of each question, in nats."""
    model = open_model(gguf, cache, "int4")
    engine = load_engine(gguf, cache, threads=0, slots=1, context=CONTEXT)
    openings, beginnings = openings_of(engine.token_bytes), beginnings_of(engine.token_bytes, CALL)
    found = []
    async with engine:
        for question in asked:
            system = {"role": "system", "content": preamble(None, question.tools)}
            segments = model.template.render([system, {"role": "user", "content": question.text}])
            choice = CallChoice(Anything(), Anything(), openings, beginnings)
            sampling = SamplingParams(temperature=0, max_tokens=1)
            request = GenerationRequest(question.text, model.tokenizer.encode(segments), sampling, constraint=choice)
            async with engine.submit(request) as generation:
                async for _ in generation:
                    pass
            assert choice.score is not None, "the first token was drawn"
            found.append(choice.score)
    return found


def sweep(asked: Sequence[Question], found: Sequence[float]) -> list[tuple[str, str, str]]:
    """What share of either kind of question would lead to a call, by threshold."""

    def above(threshold: float, *, needed: bool) -> str:
        kind = [score for question, score in zip(asked, found, strict=True) if (question.call is not None) is needed]
        return str(Share(sum(score >= threshold for score in kind), len(kind)))

    return [(f"{each:g}", above(each, needed=True), above(each, needed=False)) for each in SWEEP]


async def end_to_end(gguf: Path, cache: Path, asked: Sequence[Question], temperature: float) -> Tally:
    """Each question asked over HTTP, one after the other, with `tool_choice` left out. Raises ProductError
    and ClientError."""
    calls = []
    async with running_product(gguf, cache) as product:
        for number, question in enumerate(asked):
            body = {"input": question.text, "tools": list(question.tools), "temperature": temperature}
            body |= {"max_output_tokens": ROOM, "store": False, "seed": number}
            calls.append(called(await product.client.whole(body)))
    return tally(list(zip(asked, calls, strict=True)))


def main(argv: Sequence[str]) -> int:
    """Prints tables and writes a JSON file. The exit status: 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="bench.tool_choice", description="Measures the choice of tools under auto.")
    parser.add_argument("--half", choices=HALVES, help="only this one; nothing is tuned by what held_back gives")
    add_places(parser)
    given = parser.parse_args(argv)
    results: dict[str, tuple[str, str]] = {}
    try:
        gguf = given.model or packaged_model()
        tuning = questions("tuning")
        print(grid([HEADINGS, *sweep(tuning, asyncio.run(scores(gguf, given.cache_dir, tuning)))]), flush=True)
        for half in [given.half] if given.half else HALVES:
            for temperature in (0, 1):
                found = asyncio.run(end_to_end(gguf, given.cache_dir, questions(half), temperature))
                print(f"{half}, temperature {temperature}: right {found.right}; needless {found.needless}", flush=True)
                results[f"{half}, temperature {temperature}"] = (str(found.right), str(found.needless))
    except (ProductError, ModelFileError, ClientError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    document = {"machine": machine_facts(), "threshold": THRESHOLD, "results": results}
    print(write_json(given.out, datetime.now().astimezone(), "-tool-choice", document))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
