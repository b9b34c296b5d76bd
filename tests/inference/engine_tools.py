"""What the engine's tests share: a listener for its outputs, and a gate that holds a step."""

import queue
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from inference.engine import Engine, Outputs
from inference.fakes import ScriptedRunner
from inference.options import EngineOptions
from inference.sampling.parameters import SamplingParams
from inference.types import EngineStats, GenerationRequest, Output

WAIT = 20.0  # seconds until a test that waits for nothing fails
END = 0
TOKEN_BYTES = [b"", *(bytes([token + 64]) for token in range(1, 64))]  # token 1 is "A", 2 is "B", ...
SMALL_CHUNKS = EngineOptions(chunk=4, chunk_alone=8)
GREEDY = SamplingParams(temperature=0, max_tokens=10)


def request(name: str, prompt: Sequence[int] = (1, 2, 3), sampling: SamplingParams = GREEDY) -> GenerationRequest:
    return GenerationRequest(name, tuple(prompt), sampling)


def spell(text: str) -> list[int]:
    return [ord(letter) - 64 for letter in text]


class Listener:
    """Collects what an engine delivers; `until_ended` waits for the last output of requests."""

    def __init__(self) -> None:
        self.outputs: dict[str, list[Output]] = {}
        self.stats: list[EngineStats] = []
        self._deliveries: queue.SimpleQueue[tuple[Outputs, EngineStats]] = queue.SimpleQueue()

    def deliver(self, outputs: Outputs, stats: EngineStats) -> None:
        self._deliveries.put((outputs, stats))

    def take(self) -> None:
        """Wait for the next delivery."""
        outputs, stats = self._deliveries.get(timeout=WAIT)
        self.stats.append(stats)
        for request_id, output in outputs:
            self.outputs.setdefault(request_id, []).append(output)

    def take_all(self) -> None:
        while not self._deliveries.empty():
            self.take()

    def until_ended(self, *names: str) -> None:
        while not all(self.ended(name) for name in names):
            self.take()

    def ended(self, name: str) -> bool:
        outputs = self.outputs.get(name, [])
        return bool(outputs) and outputs[-1].finish is not None

    def whole(self, name: str) -> Output:
        """All outputs of a request as one; exactly the last one has a finish."""
        outputs = self.outputs[name]
        assert [output.finish is not None for output in outputs] == [False] * (len(outputs) - 1) + [True]
        text = "".join(output.text for output in outputs)
        tokens = sum(output.tokens for output in outputs)
        return Output(text, tokens, outputs[-1].cached_tokens, outputs[-1].finish)


class HeldGate:
    """Lets a number of the runner's calls through and then holds the next one until it is opened or closed again."""

    def __init__(self) -> None:
        self._tickets = threading.Semaphore(0)
        self._arrivals = threading.Semaphore(0)

    def __call__(self, name: str, number: int) -> None:
        self._arrivals.release()
        assert self._tickets.acquire(timeout=WAIT), f"call {number}, {name}, was never let through"

    def wait_for_call(self) -> None:
        assert self._arrivals.acquire(timeout=WAIT), "no call came"

    def let_through(self, calls: int) -> None:
        self._tickets.release(calls)

    def open(self) -> None:
        self._tickets.release(1_000_000)


def make_engine(runner: ScriptedRunner, listener: Listener, options: EngineOptions = SMALL_CHUNKS) -> Engine:
    return Engine(runner, TOKEN_BYTES, frozenset({END}), listener.deliver, options)


def generate(
    runner: ScriptedRunner, *requests: GenerationRequest, options: EngineOptions = SMALL_CHUNKS
) -> dict[str, Output]:
    """Serve these requests together on a fresh engine."""
    listener = Listener()
    engine = make_engine(runner, listener, options)
    engine.start()
    for each in requests:
        engine.submit(each)
    listener.until_ended(*(each.id for each in requests))
    engine.close()
    return {each.id: listener.whole(each.id) for each in requests}


@contextmanager
def running(runner: ScriptedRunner, options: EngineOptions = SMALL_CHUNKS) -> Iterator[tuple[Engine, Listener]]:
    listener = Listener()
    engine = make_engine(runner, listener, options)
    engine.start()
    try:
        yield engine, listener
    finally:
        engine.close()


def scripted(text: str, **settings: object) -> ScriptedRunner:
    return ScriptedRunner(reply=lambda prompt: spell(text), **settings)  # type: ignore[arg-type]


def random_requests(count: int, seed: int) -> list[GenerationRequest]:
    """Some share beginnings, some are greedy, lengths and parameters differ."""
    generator = random.Random(seed)
    stems = [[generator.randrange(1, 64) for _ in range(20)] for _ in range(3)]
    requests = []
    for index in range(count):
        prompt = generator.choice(stems)[: generator.randrange(0, 20)]
        prompt = prompt + [generator.randrange(1, 64) for _ in range(generator.randrange(1, 25))]
        sampling = SamplingParams(
            temperature=generator.choice([0.0, 0.8, 1.0]),
            top_p=generator.choice([1.0, 0.9]),
            seed=index,
            presence_penalty=generator.choice([0.0, 0.5]),
            max_tokens=generator.randrange(1, 40),
            stop=generator.choice([(), ("A", "BC")]),
        )
        requests.append(request(f"r{index}", prompt, sampling))
    return requests
