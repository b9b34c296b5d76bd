"""How long the converted model takes to load and the product to start again, and what the loaded model takes.

The weights are measured apart, as what a runner with one slot takes: next to nothing of it is cache or work space.

Everything was there before: nothing is installed or converted, and the files are in the page cache.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bench.engines import start_engine
from bench.options import Options
from bench.product import running_product
from bench.workloads import Say

SLOTS = 16


@dataclass
class Loading:
    """Of each turn: seconds until the engine takes requests, bytes of memory that loading took and that the weights
    took, and seconds from the start of the launcher until the product is ready."""

    seconds: list[float] = field(default_factory=list)
    bytes: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)


async def measure_loading(options: Options, say: Say) -> Loading:
    loading = Loading()
    for turn in range(options.repeat):
        async with await start_engine(options, SLOTS) as engine:
            loaded = await engine.ask("loaded")
        loading.seconds.append(loaded["seconds"])
        loading.bytes.append(loaded["bytes"])
        async with await start_engine(options, 1) as engine:
            loading.weights.append((await engine.ask("loaded"))["runner_bytes"])
        start = time.perf_counter()
        async with running_product(options.model, options.cache_dir):
            loading.starts.append(time.perf_counter() - start)
        say(
            f"{turn + 1}/{options.repeat} loading: {loading.seconds[-1]:.2f} s, {loading.bytes[-1] / 1e6:.0f} MB,"
            f" of these weights {loading.weights[-1] / 1e6:.0f} MB; second start: {loading.starts[-1]:.2f} s"
        )
    return loading
