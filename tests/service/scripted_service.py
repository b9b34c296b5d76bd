"""`python -m tests.service.scripted_service`: the service with a scripted model, which says `hello`.

A prompt of more than 100 tokens holds the engine's thread for good, which is how a stop gets stuck.
"""

import os
import sys
import threading

from common.output import protect_output
from common.settings import Settings
from inference.fakes import ScriptedRunner
from service.__main__ import leave, main
from service.models.loading import PreparedModel, Report
from service.models.spec import ModelSpec
from tests.service.scripted_model import END, TOKENIZER, encode, scripted


def prepare_scripted(spec: ModelSpec, settings: Settings, report: Report) -> PreparedModel:
    hello = encode("hello")

    def reply(prompt: tuple[int, ...]) -> tuple[int, ...]:
        if len(prompt) > 100:
            threading.Event().wait()
        return hello

    runner = ScriptedRunner(spec.slots, spec.context, TOKENIZER.vocab_size, reply=reply, end_token=END)
    return PreparedModel(0, lambda: scripted(runner))


if __name__ == "__main__":
    protect_output()
    leave(main(sys.argv[1:], os.environ, prepare_scripted))
