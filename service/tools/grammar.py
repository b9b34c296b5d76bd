"""The language of answers that call functions, in llguidance's Lark, as `service.output.parser` reads it.

It knows no models and compiles nothing.
"""

from __future__ import annotations

import json
from collections.abc import Container

from inference.grammar.definition import json_rule
from inference.grammar.grammar import Grammar, GrammarKind
from service.output.parser import CALL, HEAD, TAIL, THINK, THOUGHT
from service.tools.calling import Calling, arguments_schema

_GAP = r"/\s{0,4}/"
_REST_OF_THOUGHT = "rest_of_thought " + _GAP
_REST_RULE = r"rest_of_thought[lazy]: /(.|\n)*" + THOUGHT.replace("/", r"\/") + "/"
# What an answer may begin with, before anything else.
NOTHING = ""
MAYBE_THOUGHT = f'("{THINK}" {_REST_OF_THOUGHT})? '
BEGUN_THOUGHT = f"{_REST_OF_THOUGHT} "


def calls_only(calling: Calling, before: str, lenient: Container[int]) -> Grammar:
    """Calls, and nothing else. lenient: places of tools whose schema is enforced only as far as that is possible."""
    return _lark(f"{before}calls", _calls(calling, lenient))


def calls_after_tag(calling: Calling, lenient: Container[int]) -> Grammar:
    """What follows the tag of the first call."""
    return _lark(f"call_after_tag{_more(calling)}", _calls(calling, lenient))


def calls_or_json(calling: Calling, before: str, lenient: Container[int], answer: str) -> Grammar:
    """Calls, or an answer. answer: the rule of the answer."""
    return _lark(f"{before}(calls | answer)", [*_calls(calling, lenient), f"answer: {answer}"])


def thought_then(before: str, answer: str) -> Grammar:
    """An answer without calls behind a thought. answer: its rule."""
    return _lark(f"{before}answer", [f"answer: {answer}"])


def _lark(start: str, rules: list[str]) -> Grammar:
    if "rest_of_thought" in start:
        rules = [*rules, _REST_RULE]
    return Grammar(GrammarKind.LARK, "\n".join([f"start: {start}", *rules]))


def _calls(calling: Calling, lenient: Container[int]) -> list[str]:
    bodies = " | ".join(f"call_{place}" for place, _ in calling.functions)
    rules = [f"calls: call{_more(calling)}", f'call: "{CALL}" call_after_tag', f"call_after_tag: {bodies}"]
    for place, function in calling.functions:
        head, tail = json.dumps(HEAD % function.name), json.dumps(TAIL)
        rules.append(f"call_{place}: {head} arguments_{place} {tail}")
        rules.append(f"arguments_{place}: {json_rule(arguments_schema(function), lenient=place in lenient)}")
    return rules


def _more(calling: Calling) -> str:
    return f' ("\\n" call){{0,{calling.most - 1}}}' if calling.most > 1 else ""
