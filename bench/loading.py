"""How long the converted model takes to load and the product to start again, and what the loaded model takes.

Everything was there before: nothing is installed or converted, and the files are in the page cache.
"""

from __future__ import annotations

import time

from bench.engines import start_engine
from bench.options import Options
from bench.product import running_product
from bench.results import Samples
from bench.workloads import Say

SLOTS = 16


async def measure_loading(options: Options, say: Say) -> tuple[Samples, Samples, Samples]:
    """Seconds until the engine takes requests, bytes of memory that loading took, and seconds from the start of the
    launcher until the product is ready."""
    seconds, sizes, starts = list[float](), list[float](), list[float]()
    for turn in range(options.repeat):
        async with await start_engine(options, SLOTS) as engine:
            loaded = await engine.ask("loaded")
        seconds.append(loaded["seconds"])
        sizes.append(loaded["bytes"])
        start = time.perf_counter()
        async with running_product(options.model, options.cache_dir):
            starts.append(time.perf_counter() - start)
        say(
            f"{turn + 1}/{options.repeat} loading: {seconds[-1]:.2f} s, {sizes[-1] / 1e6:.0f} MB;"
            f" second start: {starts[-1]:.2f} s"
        )
    return Samples("engine", seconds, False), Samples("engine", sizes, False), Samples("answerd", starts, False)
