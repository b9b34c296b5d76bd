"""The values that cross the engine's boundary, and its errors. They know nothing of how the engine works.

Error tree:
    InferenceError
    ├── QueueFull              as many requests live as there are slots and places in the queue
    ├── ContextLengthExceeded  the prompt leaves no room for an answer
    ├── EngineStopped          the engine was shut down, drains, or broke for good
    └── ModelFileError         a model file is missing, unreadable or of a kind that is not supported
"""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias

from inference.constraint import Constraint
from inference.sampling.logprobs import Logprob
from inference.sampling.parameters import SamplingParams

Precision: TypeAlias = Literal["float32", "float16", "int8", "int4"]  # of a graph's weights
MIN_ROOM = 2  # positions of its slot that a prompt must leave free


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A prompt of at least one token id; `id` is unique among the requests that live at the same time.

    domain: who may learn from `cached_tokens` what was asked before; computations are reused within one domain only.
    constraint: what the answer must keep to, for this request alone.
    """

    id: str
    prompt: tuple[int, ...]
    sampling: SamplingParams
    domain: str = ""
    constraint: Constraint | None = None


class FinishReason(Enum):
    """Why a generation ended."""

    STOP = "stop"  # an end token, a stop text, or a constraint that lets nothing follow
    LENGTH = "length"  # max_tokens or the slot's last position
    ABORTED = "aborted"  # the caller asked for it
    FAILED = "failed"  # it could not begin, or the runner raised or made logits that are not numbers
    STOPPED = "stopped"  # the engine was shut down


@dataclass(frozen=True, slots=True)
class Output:
    """One sequence's share of one step, or of several steps merged.

    An output without text or tokens says that the first chunk of a long prompt was read.
    text: what may be shown; never half a character, never part of a stop text.
    tokens: tokens sampled, an end token included. cached_tokens: prompt tokens whose computation was
    reused; the same in every output of a request once its prompt has begun. finish: set in exactly one
    output of a request, its last. logprobs: of the tokens whose text this is, where the request asked for them.
    starts: of each sampled token, where its text begins in that of the answer, in characters.
    """

    text: str
    tokens: int
    cached_tokens: int
    finish: FinishReason | None
    logprobs: tuple[Logprob, ...] = ()
    starts: tuple[int, ...] = ()


@dataclass(slots=True)
class EngineStats:
    """The engine as it was after a step; the counters run from its start, times in seconds.

    Only the engine changes one, and never one that it has handed out.

    failure: why the engine is not fit to serve, or None. It is set after three failed calls of one kind in a row
    (prefill, decode, verify, move), cleared by one of that kind that succeeds, and final once the engine has stopped.
    """

    running: int = 0  # sequences in a slot
    waiting: int = 0  # sequences without one
    idle_slots: int = 0
    steps: int = 0
    prefill_tokens: int = 0
    prefill_seconds: float = 0.0
    decode_calls: int = 0
    decode_tokens: int = 0
    decode_seconds: float = 0.0
    cached_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0  # of those drafted
    verify_calls: int = 0
    verify_seconds: float = 0.0
    failure: str | None = None
    broken: bool = False  # a bug ended the engine's thread: it has to be started again


class InferenceError(Exception):
    """Everything that this package raises for others to handle."""


class QueueFull(InferenceError):
    """As many requests live as there are slots and places in the queue."""


class ContextLengthExceeded(InferenceError):
    """The prompt leaves no room for an answer; `limit` is the longest prompt that does, in tokens.

    at_least: the prompt was not encoded, and `prompt_tokens` is the fewest it can have.
    """

    def __init__(self, prompt_tokens: int, limit: int, *, at_least: bool = False) -> None:
        super().__init__(f"The prompt has {'at least ' * at_least}{prompt_tokens} tokens; at most {limit} fit.")
        self.prompt_tokens = prompt_tokens
        self.limit = limit
        self.at_least = at_least


class EngineStopped(InferenceError):
    """The engine takes no requests: it was shut down, drains, or broke for good."""


class ModelFileError(InferenceError):
    """A model file is missing, unreadable or of a kind that is not supported."""
