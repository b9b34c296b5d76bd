"""Whatever a template does, it ends soon, in a prompt or in one sentence, and takes little memory."""

import resource
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings

from inference.chat import ChatTemplate, TemplateError
from inference.templates.meter import MAX_SECONDS
from tests.inference.templates.programs import PROGRAMS

MESSAGES = [{"role": "user", "content": "What is it? " * 20}, {"role": "assistant", "content": "a\tb\n<|im_end|>"}]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
# Between two looks at the clock lies one operation, which may be the longest there is.
SECONDS = MAX_SECONDS + 3
MEGABYTES = 1500
FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck))


def outcome(source: str) -> str:
    """What a template gives, or says, in bounded time."""
    began = time.thread_time()
    try:
        said = "".join(segment.text for segment in ChatTemplate(source).render(MESSAGES, tools=TOOLS))
    except TemplateError as error:
        said = str(error)
        assert "\n" not in said or "raise_exception" in source
    assert time.thread_time() - began < SECONDS
    return said


def peak_megabytes() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


BRIEF = settings(FUZZ, max_examples=120)
LONG = settings(FUZZ, max_examples=4000)


@pytest.mark.parametrize("length", [BRIEF, pytest.param(LONG, marks=pytest.mark.slow)], ids=["brief", "long"])
def test_a_hostile_template_ends_in_bounded_time_and_memory(length: settings) -> None:
    before = peak_megabytes()

    @length
    @given(PROGRAMS)
    def check(source: str) -> None:
        outcome(source)

    check()
    assert peak_megabytes() - before < MEGABYTES
