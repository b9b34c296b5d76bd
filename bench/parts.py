"""The parts of the benchmark: each starts what it measures, measures it, and gives lines of the result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field

from bench.clients import CLIENTS, measure_clients
from bench.constrained import NO_DRAFTS, measure_constrained
from bench.conversation import measure_follow_up
from bench.engines import start_engine, start_llama
from bench.llama_server import NAME as LLAMA_SERVER
from bench.llama_server import running_llama_server
from bench.loading import measure_loading
from bench.memory import measure_growth, measure_peak
from bench.options import Options
from bench.pause import LONG_CONTEXT, measure_pauses
from bench.peer import Peer
from bench.peer_environment import ensure_peers
from bench.product import NAME as PRODUCT
from bench.product import Product, running_product
from bench.prompts import PromptMaker
from bench.results import Row
from bench.rows import (
    deterministic_row,
    follow_up_row,
    growth_row,
    loading_rows,
    pause_row,
    peak_row,
    rate_rows,
    sampling_row,
    schema_rows,
    server_rows,
    speculation_rows,
)
from bench.sampling_cost import STREAMS, measure_sampling
from bench.speculation import VARIANTS, measure_speculation
from bench.workloads import WIDE, WORKLOADS, Say, System, Workload, measure

SEQUENCES = 16
REPRODUCIBLE = "reproducible"


@dataclass
class Bench:
    """What all parts share. versions: of the peers that were started."""

    options: Options
    prompts: PromptMaker
    say: Say
    versions: dict[str, str] = field(default_factory=dict)

    async def peers(self, stack: AsyncExitStack, sequences: int) -> list[Peer]:
        """llama.cpp and our engine, both until the stack is closed."""
        started = [
            await stack.enter_async_context(peer)
            for peer in [await start_llama(self.options, sequences), await start_engine(self.options, sequences)]
        ]
        self.versions.update((peer.name, peer.version) for peer in started)
        return started

    def product(self, *settings: str, name: str = PRODUCT) -> AbstractAsyncContextManager[Product]:
        return running_product(self.options.model, self.options.cache_dir, *settings, name=name)


async def rates(bench: Bench, workloads: Sequence[Workload]) -> list[Row]:
    """All three systems loaded at once, and one of them busy at a time."""
    async with AsyncExitStack() as stack:
        peers = await bench.peers(stack, SEQUENCES)
        product = await stack.enter_async_context(bench.product())
        systems: list[System] = [*peers, product.client]
        return rate_rows(
            workloads, await measure(workloads, systems, bench.prompts, bench.options.repeat, bench.say), PRODUCT
        )


async def wide(bench: Bench) -> list[Row]:
    async with AsyncExitStack() as stack:
        peers = await bench.peers(stack, WIDE.prompts)
        return rate_rows([WIDE], await measure([WIDE], peers, bench.prompts, bench.options.repeat, bench.say), PRODUCT)


async def server(bench: Bench) -> list[Row]:
    options = bench.options
    binary = (await asyncio.to_thread(ensure_peers)).server
    async with running_llama_server(binary, options.model, max(CLIENTS)) as theirs, bench.product() as product:
        systems = [theirs, product.client]
        return server_rows(
            await measure_clients(systems, bench.prompts, options.repeat, bench.say), PRODUCT, LLAMA_SERVER
        )


async def follow_up(bench: Bench) -> list[Row]:
    async with bench.product() as product:
        return [follow_up_row(*await measure_follow_up(product.client, bench.prompts, bench.options.repeat, bench.say))]


async def speculation(bench: Bench) -> list[Row]:
    async with AsyncExitStack() as stack:
        started = [
            await stack.enter_async_context(bench.product(*flags, name=name)) for name, flags in VARIANTS.items()
        ]
        clients = [product.client for product in started]
        return speculation_rows(await measure_speculation(clients, bench.prompts, bench.options.repeat, bench.say))


async def sampling(bench: Bench) -> list[Row]:
    async with await start_engine(bench.options, STREAMS) as engine:
        return [sampling_row(*await measure_sampling(engine, bench.prompts, bench.options.repeat, bench.say))]


async def schema(bench: Bench) -> list[Row]:
    async with bench.product(*NO_DRAFTS) as product, bench.product() as drafting:
        clients = {"stream": product.client, "together": product.client, "drafted": drafting.client}
        return schema_rows(await measure_constrained(clients, bench.prompts, bench.options.repeat, bench.say))


async def deterministic(bench: Bench) -> list[Row]:
    """One stream beside one that is not drafted for either: what is left is the row that keeps it company."""
    [stream] = [workload for workload in WORKLOADS if workload.key == "stream"]
    async with (
        bench.product("--deterministic=true", name=REPRODUCIBLE) as ours,
        bench.product(*NO_DRAFTS) as plain,
    ):
        systems = [ours.client, plain.client]
        rates = await measure([stream], systems, bench.prompts, bench.options.repeat, bench.say)
        return [deterministic_row(rates[stream.key], REPRODUCIBLE, PRODUCT)]


async def pause(bench: Bench) -> list[Row]:
    async with bench.product(*LONG_CONTEXT) as product:
        return [pause_row(await measure_pauses(product.client, bench.prompts, bench.options.repeat, bench.say))]


async def loading(bench: Bench) -> list[Row]:
    return loading_rows(await measure_loading(bench.options, bench.say), bench.options.model.stat().st_size)


async def memory(bench: Bench) -> list[Row]:
    async with bench.product() as product:
        return [peak_row(await measure_peak(product, bench.prompts, bench.say))]


async def growth(bench: Bench) -> list[Row]:
    requests = bench.options.growth_requests
    async with bench.product() as product:
        return [growth_row(await measure_growth(product, bench.prompts, requests, bench.say), requests)]


PARTS: Mapping[str, Callable[[Bench], Awaitable[list[Row]]]] = {
    "wide": wide,
    "server": server,
    "follow-up": follow_up,
    "speculation": speculation,
    "sampling": sampling,
    "schema": schema,
    "deterministic": deterministic,
    "pause": pause,
    "loading": loading,
    "memory": memory,
    "growth": growth,
}


async def run(bench: Bench) -> list[Row]:
    """The lines of the parts that the options ask for."""
    rows: list[Row] = []
    if workloads := [workload for workload in WORKLOADS if workload.key in bench.options.only]:
        rows += await rates(bench, workloads)
    for key, part in PARTS.items():
        if key in bench.options.only:
            rows += await part(bench)
    return rows
