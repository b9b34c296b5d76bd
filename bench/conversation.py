"""How soon the second turn of a long conversation begins, beside the first one, which had to be computed whole."""

from __future__ import annotations

from dataclasses import replace

from bench.prompts import PromptMaker
from bench.results import Samples
from bench.sse_client import Answer, SseClient
from bench.workloads import Say, WorkloadError

CONVERSATION_LENGTH = 1000
ANSWER_LENGTH = 32
# Twenty tokens or so, with what the template puts around them.
FOLLOW_UP = "Now tell me what happens after that."


async def measure_follow_up(client: SseClient, prompts: PromptMaker, repeat: int, say: Say) -> tuple[Samples, Samples]:
    """Seconds to the first token of the follow-up turns and of the cold ones. Raises WorkloadError."""
    follow_up, cold = list[float](), list[float]()
    for turn in range(repeat):
        first = prompts.make(CONVERSATION_LENGTH)
        opened = await client.ask(first, ANSWER_LENGTH, parameters=prompts.endless)
        # Instructions are not carried over: a client that keeps them sends them again.
        followed = await client.ask(
            replace(first, text=FOLLOW_UP), ANSWER_LENGTH, previous=opened.id, parameters=prompts.endless
        )
        check(opened, followed)
        cold.append(opened.stream.first)
        follow_up.append(followed.stream.first)
        say(f"{turn + 1}/{repeat} follow-up turn, first token: {follow_up[-1]:.3f} s, cold {cold[-1]:.3f} s")
    return Samples("follow-up", follow_up, False), Samples("cold", cold, False)


def check(opened: Answer, followed: Answer) -> None:
    """Raises WorkloadError unless the first turn was computed whole and the second one is a turn after it."""
    lengths = [answer.response["usage"]["input_tokens"] for answer in (opened, followed)]
    if lengths[0] != CONVERSATION_LENGTH or not 1 <= lengths[1] - sum_of(opened) <= 40:
        raise WorkloadError(f"A conversation of {lengths[0]} tokens went on as one of {lengths[1]}.")
    if opened.stream.cached > CONVERSATION_LENGTH // 100:
        raise WorkloadError(f"{opened.stream.cached} tokens of a cold conversation were not computed anew.")


def sum_of(answer: Answer) -> int:
    """Tokens of a turn's prompt and answer."""
    return int(answer.response["usage"]["input_tokens"]) + answer.stream.tokens
