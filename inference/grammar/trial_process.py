"""`python -m inference.grammar.trial_process`: compiles what it is given, in a process that may crash or hang over it.

It reads lines of JSON: a vocabulary, then definitions. Each of these is answered with why it is refused, or null.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import time

from llguidance import LLMatcher, LLTokenizer

from inference.grammar.compilation import compiled
from inference.grammar.reasons import reason_of
from inference.grammar.vocabulary import Vocabulary

CPU_SECONDS = 2.0  # for one definition
MASK_SECONDS = 0.2  # of computing, for one mask: running answers stand still meanwhile
MEMORY_BYTES = 2**31  # of addresses; half a gigabyte of it is the stack
STEPS = 48  # of the walk


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    vocabulary = Vocabulary.from_json(sys.stdin.readline())
    tokenizer = vocabulary.build()
    for line in sys.stdin:
        # Its signal ends the process. Time of computing, so that a busy machine refuses no more than an idle one.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        reason = reason_against(tokenizer, json.loads(line), vocabulary)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(json.dumps(reason), flush=True)


def reason_against(tokenizer: LLTokenizer, definition: str, vocabulary: Vocabulary) -> str | None:
    """Why it is refused. What compiles is walked through at random, the same way each time, as an answer would."""
    matcher = compiled(tokenizer, definition)
    if matcher.is_error():
        return reason_of(matcher)
    generator = random.Random(0)  # noqa: S311 - a walk is no secret
    ends = sum(1 << end for end in vocabulary.ends)
    for _ in range(STEPS):
        begun = time.process_time()
        allowed = int.from_bytes(matcher.compute_bitmask(), "little")
        if matcher.is_error():
            return reason_of(matcher)
        if time.process_time() - begun > MASK_SECONDS:
            return "It takes too long to find out which tokens may follow."
        if not allowed & ~ends:
            return None if allowed else "No token of the model can follow."
        if not _step(matcher, allowed & ~ends, generator):
            return reason_of(matcher)
    return None


def _step(matcher: LLMatcher, allowed: int, generator: random.Random) -> bool:
    """Goes on with one of the allowed tokens, given as bits: the first one at or above a random place, or the last."""
    above = allowed >> (start := generator.randrange(allowed.bit_length()))
    return matcher.consume_token(start + (above & -above).bit_length() - 1)


if __name__ == "__main__":
    main()
