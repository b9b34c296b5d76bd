"""What prompt-lookup speculation gains where an answer repeats its prompt, and what it costs where it does not.

The tasks that repeat are of the kind that people have: a text to be quoted, a document to be copied or edited. They
were chosen among others because the default model, which is small, really does what they ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.prompts import PromptMaker
from bench.protocol import Stream
from bench.results import Samples
from bench.workloads import OUTPUT_LENGTH, Say, System

VARIANTS = {"with speculation": ("--speculation=true",), "without": ("--speculation=false",)}
LIGHTHOUSE = (
    "The lighthouse at Cape Wren was built in 1874 from grey granite. Its lamp burned whale oil until 1911, when"
    " electric light replaced it. The last keeper, Thomas Hale, left the tower in 1962. Today the building is a small"
    " museum with a garden."
)
MEETING = (
    "The meeting began at nine o'clock in the large hall. Mrs. Green presented the budget for the coming year. Mr."
    " Brown asked why the repair of the roof had become so expensive. It was decided to ask a second company for an"
    " offer before the end of May."
)
GLACIERS = (
    "Glaciers are large bodies of ice that move slowly over land. They form where more snow falls in winter than melts"
    " in summer. Over many years the snow is pressed into ice. The weight of the ice makes the glacier flow downhill"
    " like a very slow river."
)
ORDER = (
    '{"id": 1042, "items": [{"sku": "A-100", "price": 12.5, "count": 3}, {"sku": "B-220", "price": 7.25, "count": 10},'
    ' {"sku": "C-305", "price": 99.0, "count": 1}], "currency": "EUR", "paid": false}'
)
PERSON = (
    '{"name": "Ada Lovelace", "born": 1815, "city": "London", "languages": ["English", "French"], "address":'
    ' {"street": "12 St James Square", "country": "England"}, "active": true}'
)
CODE = (
    'def area(width, height):\n    if width < 0 or height < 0:\n        raise ValueError("sizes are not negative")\n'
    "    return width * height\n\n\ndef perimeter(width, height):\n    if width < 0 or height < 0:\n"
    '        raise ValueError("sizes are not negative")\n    return 2 * (width + height)'
)
REPEATS = (
    f"Summarise the following text by quoting its most important sentences:\n\n{MEETING}",
    f"Replace the year 1962 by 1970 in the following text and repeat it:\n\n{LIGHTHOUSE}",
    f"Repeat the following text exactly:\n\n{GLACIERS}",
    f"Copy this JSON document:\n\n{ORDER}",
    f'Here is a JSON document:\n\n{ORDER}\n\nWrite the same JSON document with "paid" set to true.',
    f"Copy this JSON document word for word:\n\n{PERSON}",
    f"Add a comment to the following code and write it out in full:\n\n{CODE}",
)
ORDINARY = (
    "Explain how a bicycle works, step by step.",
    "Write a long story about a river and a castle.",
    "What is the difference between a lake and a sea?",
    "Write a JSON list of ten people with name, age and city.",
    "Describe the life of Marie Curie.",
    "Write a Python program that sorts a list in three ways.",
)
TASKS = {"repeats": REPEATS, "ordinary": ORDINARY}


async def measure_speculation(
    systems: Sequence[System], prompts: PromptMaker, repeat: int, say: Say
) -> dict[str, tuple[Samples, Samples]]:
    """Tokens a second after the first one, all answers of a turn together, of the two systems, by kind of task."""
    with_it, without = systems
    rates = {kind: {system.name: list[float]() for system in systems} for kind in TASKS}
    for turn in range(repeat):
        for kind, tasks in TASKS.items():
            streams = {system.name: list[Stream]() for system in systems}
            for number, task in enumerate(tasks):
                # What drifts favours neither: one is first with every other task.
                for system in (with_it, without) if (turn + number) % 2 else (without, with_it):
                    streams[system.name] += await system.generate([prompts.of(task)], OUTPUT_LENGTH)
            for name, answers in streams.items():
                rates[kind][name].append(rate(answers))
            latest = ", ".join(f"{name} {values[-1]:.0f}" for name, values in rates[kind].items())
            say(f"{turn + 1}/{repeat} one stream, {kind}, tok/s: {latest}")
    return {
        kind: (Samples(with_it.name, each[with_it.name], True), Samples(without.name, each[without.name], True))
        for kind, each in rates.items()
    }


def rate(streams: Sequence[Stream]) -> float:
    """The tokens after the first ones, over the time from the first to the last."""
    return sum(stream.tokens - 1 for stream in streams) / sum(stream.last - stream.first for stream in streams)
