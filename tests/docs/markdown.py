"""Reads the parts of a Markdown page that can be checked: code blocks, tables, headings, links. Knows no page."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
ROW = re.compile(r"^\| ?(.+?) ?\|$")


@dataclass(frozen=True)
class Page:
    """One page, by its path below the root of the repository."""

    path: str

    @property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def sections(self) -> dict[str, str]:
        """The text below each heading of the second level; what stands before the first is under the empty name."""
        words = SECTION.split(self.text)
        return {"": words[0], **dict(zip(words[1::2], words[2::2], strict=True))}

    @property
    def anchors(self) -> set[str]:
        """The fragments that lead to a heading, as GitHub makes them."""
        headings = HEADING.findall(FENCE.sub("", self.text))
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    @property
    def links(self) -> list[str]:
        """Targets of links, outside of code."""
        return LINK.findall(FENCE.sub("", self.text))


def blocks(text: str, language: str) -> list[str]:
    """The contents of the fenced blocks of a language."""
    return [code for tag, code in FENCE.findall(text) if tag == language]


def commands(block: str) -> list[str]:
    """The commands of a shell block: a line, and those that a backslash or an open quotation continues it with."""
    found: list[str] = []
    begun = ""
    for line in block.splitlines():
        begun += f"{line}\n"
        if not line.endswith("\\") and is_closed(begun):
            found.append(begun.strip())
            begun = ""
    assert not begun, f"a command does not end: {begun}"
    return [command for command in found if command]


def is_closed(command: str) -> bool:
    """Whether every quotation ends."""
    try:
        shlex.split(command)
    except ValueError:
        return False
    return True


def table(text: str, first_heading: str) -> list[list[str]]:
    """The cells of the rows of the table whose first column has this heading."""
    rows: list[list[str]] = []
    within = False
    for line in text.splitlines():
        found = ROW.match(line)
        cells = [cell.strip() for cell in found[1].split(" | ")] if found else []
        within = bool(cells) and (within or cells[0] == first_heading)
        if within:
            rows.append(cells)
    return rows[2:]


def code(cell: str) -> str:
    """What a cell holds in backquotes; a cell without them stands for nothing."""
    found = re.fullmatch(r"`(.+)`", cell)
    return found[1] if found else ""
