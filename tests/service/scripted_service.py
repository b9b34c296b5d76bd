"""`python -m tests.service.scripted_service`: the service with a scripted model, which says `hello`.

A prompt of more than 100 tokens holds the engine's thread for good, which is how a stop gets stuck.
"""

import os
import sys
import threading
from pathlib import Path

from common.settings import Settings
from inference.chat import ChatTemplate
from inference.fakes import ScriptedRunner
from inference.model import GraphNames, ModelConfig, ModelDirectory
from service.__main__ import leave, main
from service.models.loading import LoadedModel, Progress
from tests.service.served import CHATML, END, TOKEN_BYTES, TOKENIZER, encode


def load_scripted(settings: Settings, progress: Progress) -> LoadedModel:
    hello = encode("hello")

    def reply(prompt: tuple[int, ...]) -> tuple[int, ...]:
        if len(prompt) > 100:
            threading.Event().wait()
        return hello

    runner = ScriptedRunner(settings.slots, settings.context, TOKENIZER.vocab_size, reply=reply, end_token=END)
    config = ModelConfig(
        name="scripted",
        type="llama",
        vocab_size=TOKENIZER.vocab_size,
        context_length=settings.context,
        num_layers=1,
        num_heads=1,
        num_kv_heads=1,
        head_size=1,
        hidden_size=1,
        eos_token_id=END,
        eos_token_ids=frozenset({END}),
        graph=GraphNames("model.onnx", {}, {}),
        created=1_600_000_000,
    )
    directory = ModelDirectory(Path("scripted"), config, TOKENIZER, ChatTemplate(CHATML))
    return LoadedModel(directory, runner, TOKEN_BYTES, "a script (for tests)")


if __name__ == "__main__":
    leave(main(sys.argv[1:], os.environ, load_scripted))
