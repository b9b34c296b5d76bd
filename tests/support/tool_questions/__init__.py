"""Questions with tools on offer, and which of the tools each needs: a half to tune with, and one that is held back."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

FOLDER = Path(__file__).parent
Half = Literal["tuning", "held_back"]
HALVES: tuple[Half, Half] = ("tuning", "held_back")
Z = 1.96  # standard deviations on both sides of 95%


@dataclass(frozen=True)
class Question:
    """tools: in the form of the API. call: the name of the one that is needed, or None."""

    tools: tuple[dict[str, Any], ...]
    text: str
    call: str | None


def questions(half: Half) -> list[Question]:
    """Those of one offer of tools follow each other."""
    data = tomllib.loads((FOLDER / f"{half}.toml").read_text(encoding="utf-8"))
    tools = {name: _tool(name, **about) for name, about in data["tools"].items()}
    found = []
    for offer in data["offers"]:
        offered = tuple(tools[name] for name in offer["tools"])
        assert offer["calls"].keys() <= set(offer["tools"]), offer
        found += [Question(offered, text, name) for name, texts in offer["calls"].items() for text in texts]
        found += [Question(offered, text, None) for text in offer["no_call"]]
    return found


def _tool(name: str, description: str, parameters: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": description, "parameters": json.loads(parameters)}


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's, 95%."""
        spread = Z**2 / self.total
        middle = (self.value + spread / 2) / (1 + spread)
        half = math.sqrt(self.value * (1 - self.value) * spread + spread**2 / 4) / (1 + spread)
        return middle - half, middle + half

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count} of {self.total} ({self.value:.0%}, 95% interval {low:.0%} to {high:.0%})"


@dataclass(frozen=True)
class Tally:
    """right: of the questions that need a tool, those whose first call was of that tool. needless: of the others, those
    with any call."""

    right: Share
    needless: Share

    @property
    def is_as_promised(self) -> bool:
        return self.right.value >= 0.7 and self.needless.value <= 0.3


def tally(asked: Collection[tuple[Question, Sequence[str]]]) -> Tally:
    """Of questions, each with the names of the functions that were called."""
    needed = [(question.call, called) for question, called in asked if question.call is not None]
    others = [called for question, called in asked if question.call is None]
    right = sum(called[:1] == [call] for call, called in needed)
    return Tally(Share(right, len(needed)), Share(sum(map(bool, others)), len(others)))


def called(response: Mapping[str, Any]) -> list[str]:
    """The names of the functions that a response of the API calls."""
    return [item["name"] for item in response["output"] if item["type"] == "function_call"]
