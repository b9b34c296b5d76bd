"""From measurements to the lines of the result, with the targets that this project has set itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.results import Row, Samples, Target
from bench.workloads import Rates, Workload

LLAMA, ENGINE = "llama.cpp", "engine"
# Ratio to llama.cpp as clients of the product see it.
AGAINST_LLAMA = {"prompt": 1.8, "stream": 1.0, "together": 1.3}
AGAINST_ENGINE = {"together": 0.92}
LARGEST_FOLLOW_UP = 0.15
LEAST_SPEED_UP = {"repeats": 1.8, "ordinary": 0.95}
LONGEST_PAUSE = 0.15
LARGEST_MEMORY_MB = 1300.0
LARGEST_GROWTH_PERCENT = 2.0


def rate_rows(workloads: Sequence[Workload], rates: Rates, product: str) -> list[Row]:
    """For each workload: the product beside llama.cpp and beside its own engine, then the engine beside llama.cpp."""
    rows = []
    for workload in workloads:
        samples = {name: Samples(name, values, True) for name, values in rates[workload.key].items()}
        pairs = (
            (product, LLAMA, AGAINST_LLAMA.get(workload.key)),
            (product, ENGINE, AGAINST_ENGINE.get(workload.key)),
            (ENGINE, LLAMA, None),
        )
        for ours, against, bound in pairs:
            title = workload.title if ours == product else f"{workload.title}, {ours} alone"
            target = None if bound is None else Target(bound, at_least=True)
            rows.append(Row(title, "tok/s", samples[ours], samples[against], target))
    return rows


def follow_up_row(follow_up: Samples, cold: Samples) -> Row:
    target = Target(LARGEST_FOLLOW_UP, at_least=False)
    return Row("first token, turn after 1,000 tokens", "s", follow_up, cold, target)


def speculation_rows(rates: Mapping[str, tuple[Samples, Samples]]) -> list[Row]:
    """rates: by kind of task, with speculation and without."""
    titles = {"repeats": "one stream that repeats its prompt", "ordinary": "one stream of ordinary text"}
    return [
        Row(titles[kind], "tok/s", ours, against, Target(LEAST_SPEED_UP[kind], at_least=True))
        for kind, (ours, against) in rates.items()
    ]


def pause_row(pauses: Samples) -> Row:
    target = Target(LONGEST_PAUSE, at_least=False)
    return Row("longest gap of 4 streams, prompt of 8,000 tokens", "s", pauses, None, target)


def peak_row(size: float) -> Row:
    """size: bytes."""
    samples = Samples("service", [size / 1e6], False)
    return Row("memory, 16 streams of 1,000 tokens", "MB", samples, None, Target(LARGEST_MEMORY_MB, at_least=False))


def growth_row(share: float, requests: int) -> Row:
    samples = Samples("service", [share * 100], False)
    target = Target(LARGEST_GROWTH_PERCENT, at_least=False)
    return Row(f"memory growth over {requests:,} requests", "%", samples, None, target)
