"""`python -m bench.accuracy`: how far the graphs, and llama.cpp on the same file, are from the float32 graph.

Teacher-forced over one fixed text; for each token the whole distribution counts, not the token that would be drawn.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.machine import cores, machine_facts
from bench.models import open_model
from bench.options import add_places
from bench.peer import Peer, PeerError
from bench.peer_environment import PeerBuildError, Peers, ensure_peers
from bench.product import ROOT, plain_environ
from bench.report import grid, write_json
from inference.gguf.packaged import packaged_model
from inference.kernels.library import find_library
from inference.types import ModelFileError, Precision
from tests.inference.gguf.reference import Logits, compare, logits_of

TEXT = ROOT / "tests" / "inference" / "gguf" / "golden" / "text.txt"
PRECISIONS: tuple[Precision, ...] = ("int4", "float16")
HEADINGS = ("graph", "mean KL", "perplexity", "top-1 agreement")


@dataclass(frozen=True)
class Accuracy:
    """kl: mean divergence from the float32 graph, nats a token. top1: share of tokens with the same likeliest one."""

    graph: str
    kl: float
    perplexity: float
    top1: float

    def cells(self) -> tuple[str, ...]:
        return (self.graph, f"{self.kl:.4f}", f"{self.perplexity:.2f}", f"{self.top1:.3f}")


def accuracy_of(graph: str, reference: Logits, logits: Logits, tokens: Sequence[int]) -> Accuracy:
    """reference, logits: [tokens, vocabulary], after each token of the same text."""
    comparison = compare(reference, logits, tokens)
    same = reference[:-1].argmax(axis=-1) == logits[:-1].argmax(axis=-1)
    return Accuracy(graph, comparison.kl, comparison.perplexity, float(same.mean()))


def measure(gguf: Path, cache: Path, text: str) -> Iterator[Accuracy]:
    """The float32 graph first: its own divergence is 0, its perplexity is what the others' are measured by."""
    model = open_model(gguf, cache, "float32")
    tokens = model.tokenizer.encode([(text, False)])
    reference = logits_of(model, tokens)
    yield accuracy_of("float32", reference, reference, tokens)
    for precision in PRECISIONS:
        logits = logits_of(open_model(gguf, cache, precision), tokens, operators=find_library(cache))
        yield accuracy_of(precision, reference, logits, tokens)
    version, logits = asyncio.run(llama_logits(gguf, ensure_peers(), tokens))
    yield accuracy_of(version, reference, logits, tokens)


async def llama_logits(gguf: Path, peers: Peers, tokens: Sequence[int]) -> tuple[str, Logits]:
    """What llama.cpp calls itself, and its logits. Raises PeerError."""
    command = [str(peers.python), "-m", "bench.llama_peer", str(gguf), str(cores()), "1"]
    environ = {**plain_environ(os.environ), "LLAMA_CPP_LIB_PATH": str(peers.libraries)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logits.npy"
        async with await Peer.start("llama.cpp", command, ROOT, environ) as peer:
            await peer.ask("logits", tokens=tokens, path=str(path))
        logits: Logits = np.load(path)
    return peer.version, logits


def main(argv: Sequence[str]) -> int:
    """Prints a table and writes a JSON file. The exit status: 1 if something could not be measured."""
    parser = argparse.ArgumentParser(prog="bench.accuracy", description="Compares the graphs with float32.")
    add_places(parser)
    given = parser.parse_args(argv)
    try:
        gguf = given.model or packaged_model()
        results = list(measure(gguf, given.cache_dir, TEXT.read_text(encoding="utf-8")))
    except (PeerError, PeerBuildError, ModelFileError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    document = {"machine": machine_facts(), "text": TEXT.name, "results": [asdict(result) for result in results]}
    path = write_json(given.out, datetime.now().astimezone(), "-accuracy", document)
    print(f"{grid([HEADINGS, *(result.cells() for result in results)])}\n\n{path}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
