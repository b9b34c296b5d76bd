"""A peer that answers at once: each answer has as many tokens as were asked for, at made-up times."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.protocol import Stream, encode_streams, own_streams, serve


def generate(prompts: Sequence[Sequence[int]], max_tokens: int) -> Mapping[str, Any]:
    print("a library's chatter on stdout")
    return encode_streams(Stream(0.5, 1.5, 2.0, max_tokens, len(prompt)) for prompt in prompts)


def crash() -> Mapping[str, Any]:
    os._exit(3)


if __name__ == "__main__":
    lines, out = own_streams()
    if sys.argv[1:] == ["broken"]:
        sys.exit(4)
    serve("fake 1.0", {"generate": generate, "crash": crash}, lines, out)
