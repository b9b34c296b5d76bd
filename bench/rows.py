"""From measurements to the lines of the result, with the targets that this project has set itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.clients import Results
from bench.engines import ENGINE, LLAMA
from bench.loading import Loading
from bench.results import Row, Samples, Target
from bench.workloads import Rates, Workload

# Ratio to llama.cpp as clients of the product see it.
AGAINST_LLAMA = {"prompt": 1.8, "stream": 1.0, "together": 1.3}
AGAINST_ENGINE = {"together": 0.92}
# The same of our engine, which does not draft there.
ENGINE_AGAINST_LLAMA = {"prompt": 2.0, "stream": 1.1, "together": 1.6, "wide": 1.6}
LEAST_SERVED = {1: 1.2, 4: 2.0, 16: 2.0}
LONGEST_FIRST = 1.0
LEAST_WITH_ALL_PARAMETERS = 0.92
LONGEST_LOAD, LONGEST_START = 1.0, 5.0
MOST_WEIGHTS = 1.5
LARGEST_FOLLOW_UP = 0.15
LEAST_SPEED_UP = {"repeats": 1.8, "ordinary": 0.95}
LEAST_WITH_SCHEMA = 0.9
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
            (ENGINE, LLAMA, ENGINE_AGAINST_LLAMA.get(workload.key)),
        )
        for ours, against, bound in pairs:
            if ours not in samples:
                continue
            title = workload.title if ours == product else f"{workload.title}, {ours} alone"
            target = None if bound is None else Target(bound, at_least=True)
            rows.append(Row(title, "tok/s", samples[ours], samples[against], target))
    return rows


def server_rows(results: Results, product: str, server: str) -> list[Row]:
    """By number of clients: tokens a second, then the median and the 99th percentile of the time to the first one."""
    rows = []
    for clients, served in results.items():
        title = f"{clients} client{'s' * (clients > 1)}"
        ours, theirs = (Samples(name, served[name].rates, True) for name in (product, server))
        rows.append(Row(f"{title}, together", "tok/s", ours, theirs, Target(LEAST_SERVED[clients], at_least=True)))
        for share in (50, 99):
            ours, theirs = (Samples(name, [served[name].percentile(share)], False) for name in (product, server))
            rows.append(
                Row(f"{title}, first token, p{share}", "s", ours, theirs, Target(LONGEST_FIRST, at_least=False))
            )
    return rows


def sampling_row(everything: Samples, greedy: Samples) -> Row:
    target = Target(LEAST_WITH_ALL_PARAMETERS, at_least=True)
    return Row("16 streams, all sampling parameters", "tok/s", everything, greedy, target)


def deterministic_row(rates: Mapping[str, Sequence[float]], reproducible: str, plain: str) -> Row:
    ours, theirs = (Samples(name, rates[name], True) for name in (reproducible, plain))
    return Row("one stream, reproducible", "tok/s", ours, theirs, None)


def loading_rows(loading: Loading, file_size: int) -> list[Row]:
    """file_size: of the model's file, in bytes."""
    file = Samples("the file", [file_size / 1e6], False)
    total, weights = (
        Samples("engine", [size / 1e6 for size in sizes], False) for sizes in (loading.bytes, loading.weights)
    )
    seconds, starts = Samples("engine", loading.seconds, False), Samples("answerd", loading.starts, False)
    return [
        Row("loading the converted model", "s", seconds, None, Target(LONGEST_LOAD, at_least=False)),
        Row("weights in memory", "MB", weights, file, Target(MOST_WEIGHTS, at_least=False)),
        Row("memory of the loaded model with 16 slots", "MB", total, file, None),
        Row("second start until ready", "s", starts, None, Target(LONGEST_START, at_least=False)),
    ]


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


def schema_rows(rates: Mapping[str, tuple[Samples, Samples]]) -> list[Row]:
    """rates: of a stream alone, of one among others, and of one alone with drafts, with a schema and without."""
    title, target = "held to a JSON schema", Target(LEAST_WITH_SCHEMA, at_least=True)
    rows = {
        "stream": (f"one stream {title}", target),
        "together": (f"one of 16 streams {title}", target),
        "drafted": (f"one stream {title}, with drafts", None),
    }
    return [Row(rows[key][0], "tok/s", *samples, rows[key][1]) for key, samples in rates.items()]


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
