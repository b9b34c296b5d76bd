"""Streams with a schema and without take turns, and an answer that ends early is no measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.constrained import PEOPLE, STREAMS, measure_constrained
from bench.prompts import Prompt, PromptMaker
from bench.protocol import Stream
from bench.results import Samples
from bench.rows import schema_rows
from bench.sse_client import SseClient
from bench.workloads import OUTPUT_LENGTH, WorkloadError
from inference.model import ModelDirectory


class Answerer(SseClient):
    """Takes two seconds for an answer with a schema and one for another, of so many tokens less than it was asked."""

    def __init__(self, short: int = 0) -> None:
        self.asked: list[tuple[bool, int]] = []
        self._short = short

    async def generate(
        self, prompts: Sequence[Prompt], max_tokens: int, parameters: Mapping[str, Any] = {}
    ) -> list[Stream]:
        has_schema = "text" in parameters
        self.asked.append((has_schema, len(prompts)))
        return [Stream(1, 2 + has_schema, 9, max_tokens - self._short) for _ in prompts]


async def test_both_kinds_are_measured_alone_and_together_and_each_is_first_in_turn(model: ModelDirectory) -> None:
    client, drafting = Answerer(), Answerer()
    clients = {"stream": client, "together": client, "drafted": drafting}
    rates = await measure_constrained(clients, PromptMaker(model, 1), 2, lambda line: None)
    free = OUTPUT_LENGTH - 1.0
    assert {key: (held.values, other.values) for key, (held, other) in rates.items()} == {
        key: ([free / 2] * 2, [free] * 2) for key in STREAMS
    }
    assert client.asked == [
        (False, 1),
        (True, 1),
        (False, 16),
        (True, 16),
        (True, 1),
        (False, 1),
        (True, 16),
        (False, 16),
    ]
    assert drafting.asked == [(False, 1), (True, 1), (True, 1), (False, 1)]


async def test_an_answer_that_ends_early_is_an_error(model: ModelDirectory) -> None:
    with pytest.raises(WorkloadError, match="ended after"):
        await measure_constrained(
            dict.fromkeys(STREAMS, Answerer(short=1)), PromptMaker(model, 1), 1, lambda line: None
        )


def test_no_answer_can_end_before_its_last_token() -> None:
    assert PEOPLE["minItems"] == OUTPUT_LENGTH


def test_the_price_is_held_to_the_target() -> None:
    def pair(ours: float) -> tuple[Samples, Samples]:
        return Samples("with a schema", [ours], True), Samples("free", [100.0], True)

    rows = schema_rows({"stream": pair(90), "together": pair(89), "drafted": pair(88)})
    assert [row.met for row in rows] == [True, False, None]
