"""The bare engines in processes of their own: llama.cpp and ours, without a network."""

from __future__ import annotations

import asyncio
import os
import sys

from bench.machine import cores
from bench.options import Options
from bench.peer import Peer
from bench.peer_environment import ensure_peers
from bench.product import ROOT, plain_environ
from launcher.command import HUGE_PAGES

LLAMA, ENGINE = "llama.cpp", "engine"


async def start_llama(options: Options, sequences: int) -> Peer:
    """llama.cpp with room for so many sequences. Raises PeerError or PeerBuildError."""
    peers = await asyncio.to_thread(ensure_peers)
    command = [str(peers.python), "-m", "bench.llama_peer", str(options.model), str(cores()), str(sequences)]
    environ = {**plain_environ(os.environ), "LLAMA_CPP_LIB_PATH": str(peers.libraries)}
    return await Peer.start(LLAMA, command, ROOT, environ)


async def start_engine(options: Options, slots: int) -> Peer:
    """Our engine with so many slots, in the environment that the launcher gives the service. Raises PeerError."""
    places = [str(options.model), str(options.cache_dir)]
    command = [sys.executable, "-m", "bench.engine_peer", *places, str(cores()), str(slots)]
    return await Peer.start(ENGINE, command, ROOT, {**HUGE_PAGES, **plain_environ(os.environ)})
