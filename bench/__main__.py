"""`python -m bench`: measures what the flags ask for, prints a table and writes a JSON file.

Puts the parts together; each knows for itself what it measures.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime

from bench.conversation import measure_follow_up
from bench.machine import cores, machine_facts
from bench.memory import measure_growth, measure_peak
from bench.models import open_model
from bench.options import Options, parse
from bench.pause import LONG_CONTEXT, measure_pauses
from bench.peer import Peer, PeerError
from bench.peer_environment import PeerBuildError, ensure_peers
from bench.product import NAME as PRODUCT
from bench.product import ROOT, ProductError, plain_environ, running_product
from bench.prompts import PromptError, PromptMaker
from bench.report import table, write_json
from bench.results import Row
from bench.rows import (
    ENGINE,
    LLAMA,
    follow_up_row,
    growth_row,
    pause_row,
    peak_row,
    rate_rows,
    speculation_rows,
)
from bench.speculation import VARIANTS, measure_speculation
from bench.sse_client import ClientError
from bench.workloads import WORKLOADS, Rates, Workload, WorkloadError, measure
from inference.types import ModelFileError
from launcher.__main__ import HUGE_PAGES

SEED = 20261122
FAILURES = (PeerError, PeerBuildError, ProductError, PromptError, ClientError, WorkloadError, ModelFileError)


def main(argv: Sequence[str]) -> int:
    """The exit status: 0 after measuring, whether or not the targets are met; 1 if something could not be measured."""
    try:
        options = parse(argv)
        facts = machine_facts()
        say(f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gb']} GB; load {facts['load']}")
        rows, versions = asyncio.run(run(options))
    except FAILURES as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    document = {"machine": facts, "peers": versions, "repeat": options.repeat, "rows": [row.as_json() for row in rows]}
    path = write_json(options.out, datetime.now().astimezone(), "", document)
    print(f"\n{table(rows)}\n\nMedians, with the best in brackets. {path}")
    return 0


async def run(options: Options) -> tuple[list[Row], dict[str, str]]:
    """The result's rows, and the versions of the engines in them."""
    prompts = PromptMaker(open_model(options.model, options.cache_dir, "int4"), SEED)
    workloads = [workload for workload in WORKLOADS if workload.key in options.only]
    rows: list[Row] = []
    versions: dict[str, str] = {}
    if workloads:
        rates, versions = await compare(options, workloads, prompts)
        rows += rate_rows(workloads, rates, PRODUCT)
    if "follow-up" in options.only:
        async with running_product(options.model, options.cache_dir) as product:
            rows.append(follow_up_row(*await measure_follow_up(product.client, prompts, options.repeat, say)))
    if "speculation" in options.only:
        async with AsyncExitStack() as stack:
            started = [
                await stack.enter_async_context(running_product(options.model, options.cache_dir, *flags, name=name))
                for name, flags in VARIANTS.items()
            ]
            clients = [product.client for product in started]
            rows += speculation_rows(await measure_speculation(clients, prompts, options.repeat, say))
    if "pause" in options.only:
        async with running_product(options.model, options.cache_dir, *LONG_CONTEXT) as product:
            rows.append(pause_row(await measure_pauses(product.client, prompts, options.repeat, say)))
    if "memory" in options.only:
        async with running_product(options.model, options.cache_dir) as product:
            rows.append(peak_row(await measure_peak(product, prompts, say)))
    if "growth" in options.only:
        async with running_product(options.model, options.cache_dir) as product:
            growth = await measure_growth(product, prompts, options.growth_requests, say)
            rows.append(growth_row(growth, options.growth_requests))
    return rows, versions


async def compare(
    options: Options, workloads: Sequence[Workload], prompts: PromptMaker
) -> tuple[Rates, dict[str, str]]:
    """All three systems loaded at once, and one of them busy at a time."""
    async with AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(peer) for peer in await start_peers(options)]
        product = await stack.enter_async_context(running_product(options.model, options.cache_dir))
        rates = await measure(workloads, [*peers, product.client], prompts, options.repeat, say)
        return rates, {peer.name: peer.version for peer in peers}


async def start_peers(options: Options) -> list[Peer]:
    """llama.cpp and our own engine, without a network."""
    python = options.peer_python or await asyncio.to_thread(ensure_peers)
    environ, model, threads = plain_environ(os.environ), str(options.model), str(cores())
    commands = {
        LLAMA: [str(python), "-m", "bench.llama_peer", model, threads],
        ENGINE: [sys.executable, "-m", "bench.engine_peer", model, str(options.cache_dir), threads],
    }
    environs = {LLAMA: environ, ENGINE: {**HUGE_PAGES, **environ}}  # as the launcher runs it
    return [await Peer.start(name, command, ROOT, environs[name]) for name, command in commands.items()]


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
