"""The lines that a whole run of the benchmark prints, with made-up figures: for their names and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench import constrained, rows
from bench.clients import CLIENTS, Served
from bench.engines import ENGINE, LLAMA
from bench.loading import Loading
from bench.options import GROWTH_REQUESTS
from bench.results import Row, Samples
from bench.workloads import WIDE, WORKLOADS, Workload

OURS, THEIRS = "ours", "theirs"
ONE = Samples("one", [1.0], True)


def rate_rows(workload: Workload, *systems: str) -> Sequence[Row]:
    return rows.rate_rows([workload], {workload.key: {name: [1.0] for name in systems}}, OURS)


def served() -> dict[str, Served]:
    return {name: Served([1.0], [1.0, 1.0]) for name in (OURS, THEIRS)}


LINES: Mapping[str, Sequence[Row]] = {
    **{workload.key: rate_rows(workload, LLAMA, ENGINE, OURS) for workload in WORKLOADS},
    "wide": rate_rows(WIDE, LLAMA, ENGINE),
    "server": rows.server_rows({clients: served() for clients in CLIENTS}, OURS, THEIRS),
    "follow-up": [rows.follow_up_row(ONE, ONE)],
    "speculation": rows.speculation_rows(dict.fromkeys(rows.LEAST_SPEED_UP, (ONE, ONE))),
    "sampling": [rows.sampling_row(ONE, ONE)],
    "schema": rows.schema_rows(dict.fromkeys(constrained.STREAMS, (ONE, ONE))),
    "deterministic": [rows.deterministic_row({OURS: [1.0], THEIRS: [1.0]}, OURS, THEIRS)],
    "pause": [rows.pause_row(ONE)],
    "loading": rows.loading_rows(Loading([1.0], [1.0], [1.0], [1.0]), 1),
    "memory": [rows.peak_row(1)],
    "growth": [rows.growth_row(1, GROWTH_REQUESTS)],
}


def told() -> Sequence[tuple[str, str]]:
    """What README has to tell: each measure with its target. Of a workload, our systems beside each other stand there
    only if that has a target."""
    lines = [(key, row) for key, part in LINES.items() for row in part]
    return [
        (f"{row.measure}, {row.unit}", f"{row.target.bound:g}" if row.target else "-")
        for key, row in lines
        if row.target or key not in {workload.key for workload in WORKLOADS}
    ]
