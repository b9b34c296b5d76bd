"""What holding an answer to a JSON schema costs: the same streams with a schema and free, in turns, at one server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.prompts import PromptMaker
from bench.results import Samples
from bench.speculation import rate
from bench.sse_client import SseClient
from bench.workloads import OUTPUT_LENGTH, Say, WorkloadError

PROMPT_LENGTH = 64
STREAMS = {"stream": 1, "together": 16, "drafted": 1}
# Drafts gain where JSON repeats itself or leaves no choice, and would hide the price.
NO_DRAFTS = ("--speculation=false",)
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 20},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "mood": {"enum": ["good", "bad", None]},
        "hobbies": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 3},
    },
    "required": ["name", "age", "mood", "hobbies"],
    "additionalProperties": False,
}
# More of them than there are tokens, so that no answer ends early.
PEOPLE = {"type": "array", "items": PERSON, "minItems": OUTPUT_LENGTH}
SCHEMA: Mapping[str, Any] = {
    "text": {"format": {"type": "json_schema", "name": "people", "schema": PEOPLE, "strict": True}}
}


async def measure_constrained(
    clients: Mapping[str, SseClient], prompts: PromptMaker, repeat: int, say: Say
) -> dict[str, tuple[Samples, Samples]]:
    """Tokens a second of a stream after its first one, with the schema and without, by the key of STREAMS. clients: by
    the same keys. Raises WorkloadError."""
    kinds = {"with a schema": SCHEMA, "free": prompts.endless}
    rates = {key: {name: list[float]() for name in kinds} for key in STREAMS}
    for turn in range(repeat):
        for key, count in STREAMS.items():
            # What drifts favours neither: one is first in every other turn.
            for name in list(kinds) if turn % 2 else reversed(kinds):
                streams = await clients[key].generate(prompts.many(count, PROMPT_LENGTH), OUTPUT_LENGTH, kinds[name])
                if short := [stream.tokens for stream in streams if stream.tokens < OUTPUT_LENGTH]:
                    raise WorkloadError(f"Answers {name} ended after {json.dumps(short)} tokens.")
                rates[key][name].append(rate(streams))
            latest = ", ".join(f"{name} {values[-1]:.1f}" for name, values in rates[key].items())
            say(f"{turn + 1}/{repeat} {key} of a JSON schema ({count}), tok/s of each: {latest}")
    held, free = kinds
    return {key: (Samples(held, each[held], True), Samples(free, each[free], True)) for key, each in rates.items()}
