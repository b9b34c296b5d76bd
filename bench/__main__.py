"""`python -m bench`: measures what the flags ask for, prints a table and writes a JSON file.

Puts the parts together; each knows for itself what it measures.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime

from bench.machine import machine_facts
from bench.models import open_model
from bench.options import parse
from bench.parts import Bench, run
from bench.peer import PeerError
from bench.peer_environment import PeerBuildError
from bench.product import ProductError
from bench.prompts import PromptError, PromptMaker
from bench.report import table, write_json
from bench.sse_client import ClientError
from bench.workloads import WorkloadError
from inference.types import ModelFileError

SEED = 20261122
FAILURES = (PeerError, PeerBuildError, ProductError, PromptError, ClientError, WorkloadError, ModelFileError)


def main(argv: Sequence[str]) -> int:
    """The exit status: 0 after measuring, whether or not the targets are met; 1 if something could not be measured."""
    try:
        options = parse(argv)
        facts = machine_facts()
        say(f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB; load {facts['load']}")
        bench = Bench(options, PromptMaker(open_model(options.model, options.cache_dir, "int4"), SEED), say)
        rows = asyncio.run(run(bench))
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    document = {
        "machine": facts,
        "peers": bench.versions,
        "repeat": options.repeat,
        "rows": [row.as_json() for row in rows],
    }
    path = write_json(options.out, datetime.now().astimezone(), "", document)
    print(f"\n{table(rows)}\n\nMedians, with the best in brackets. {path}")
    return 0


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
