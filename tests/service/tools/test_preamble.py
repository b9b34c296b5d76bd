"""The system message that tells a model of tools says all about them, in a fixed order."""

from __future__ import annotations

import json
from typing import Any

from service.tools.preamble import preamble

CLOCK = {"name": "clock", "description": "Tells the time.", "parameters": {"type": "object", "properties": {}}}


def functions_in(text: str) -> list[dict[str, Any]]:
    between = text.split("<tools>\n")[1].split("\n</tools>")[0]
    return [json.loads(line) for line in between.splitlines()]


def test_every_function_has_a_line_of_its_own() -> None:
    text = preamble(None, [CLOCK, {"name": "bell"}])
    assert functions_in(text) == [CLOCK, {"name": "bell"}]
    assert text.endswith('<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>')


def test_a_description_stands_before_its_name_however_the_function_came() -> None:
    [function] = functions_in(preamble(None, [dict(reversed(CLOCK.items()))]))
    assert list(function) == ["description", "name", "parameters"]


def test_instructions_come_first_and_nothing_in_them_or_in_a_function_is_a_placeholder() -> None:
    text = preamble("Say {functions}.", [{"name": "a", "description": "{instructions} in Zürich\nand {0}"}])
    assert text.startswith("Say {functions}.\n\n# Tools\n")
    assert functions_in(text) == [{"description": "{instructions} in Zürich\nand {0}", "name": "a"}]
    assert "Zürich" in text
