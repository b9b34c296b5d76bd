"""What a model whose chat template knows no tools is told of them: a system message. It knows no model and no request.

The wording is the one that models of this kind have most likely read. The rule of `auto` is calibrated with it: after
a change of it, run `python -m bench.tool_choice`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_NOBODY = "You are a helpful assistant."
_FORM = """{instructions}

# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{functions}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
# A description before its name: of 30 questions with several tools, 24 then got the right one instead of 20.
_ORDER = ("description", "name", "parameters")


def preamble(instructions: str | None, functions: Iterable[Mapping[str, Any]]) -> str:
    """instructions: what else the system message is to say. functions: with the keys name, description, parameters;
    of the latter two each may be missing."""
    lines = "\n".join(json.dumps(_in_order(function), ensure_ascii=False) for function in functions)
    return _FORM.format(instructions=instructions or _NOBODY, functions=lines)


def _in_order(function: Mapping[str, Any]) -> dict[str, Any]:
    return {key: function[key] for key in _ORDER if function.get(key)}
