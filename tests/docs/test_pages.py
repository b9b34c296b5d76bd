"""README's tree is that of the disk, links lead somewhere, and the changelog knows the version."""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from facade import VERSION
from tests.docs.markdown import FENCE, ROOT, Page, blocks

README = Page("README.md")
PAGES = [Page(name) for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
HIDDEN = ("*/__init__.py", ".git", ".gitignore", "*/.*", "shared")
WIDEST = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["ruff"]["line-length"]
LINE = re.compile(r"^( *)(\S+)(?: {2,}\S.*)?$")


def listed() -> list[str]:
    """The paths of the tree, folders with a slash at the end."""
    [tree] = blocks(README.sections["The repository"], "text")
    paths, folder = [], ""
    for line in tree.splitlines():
        found = LINE.match(line)
        assert found is not None, line
        if not found[1]:
            folder = found[2]
        paths.append(found[2] if not found[1] else folder + found[2])
    return paths


def ignored(path: str) -> bool:
    patterns = [line.strip("/") for line in (ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    name = path.rpartition("/")[2]
    return any(fnmatch(path, pattern) or fnmatch(name, pattern) for pattern in (*patterns, *HIDDEN))


def children(folder: Path) -> Iterator[str]:
    for path in folder.iterdir():
        relative = path.relative_to(ROOT).as_posix()
        if not ignored(relative):
            yield f"{relative}/" if path.is_dir() else relative


def test_prose_of_readme_is_no_wider_than_code() -> None:
    """Tables, commands and what has no blank to break at may be."""
    lines = FENCE.sub("", README.text).splitlines()
    assert [line for line in lines if len(line) > WIDEST and not line.startswith("|") and " " in line.strip()] == []


def test_everything_in_the_tree_is_on_the_disk() -> None:
    on_disk = {path for path in listed() if (ROOT / path).exists() and (ROOT / path).is_dir() == path.endswith("/")}
    assert set(listed()) - on_disk == set()


def test_every_file_and_folder_of_the_root_is_in_the_tree() -> None:
    roots = {path.split("/")[0] for path in listed()}
    assert {path.strip("/") for path in children(ROOT)} - roots == set()


def test_every_folder_of_the_second_level_is_in_the_tree() -> None:
    folders = [ROOT / path for path in children(ROOT) if path.endswith("/") and not path.startswith(".")]
    inner = {path for folder in folders for path in children(folder) if path.endswith("/")}
    assert inner - set(listed()) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_link_within_the_repository_leads_somewhere(page: Page) -> None:
    broken = []
    for link in page.links:
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = Page(path) if path else page
        if not (ROOT / target.path).exists() or (anchor and anchor not in target.anchors):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_file_that_a_page_names_in_backquotes_is_there(page: Page) -> None:
    """Names with a slash or an ending of ours; what is made while answerd runs lies elsewhere."""
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|md|toml|yaml|proto|lock))`", page.text)
    found = {name for name in named if any(ROOT.glob(name)) or any(ROOT.glob(f"*/{name}"))}
    assert set(named) - found == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path)
def test_every_make_command_that_a_page_names_exists(page: Page) -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=[`\" ]*(?:`|CUDA|ARGS))", page.text)) - targets == set()


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = re.findall(r"^## \[(\d[^\]]*)\] - (\S+)$", Page("CHANGELOG.md").text, re.MULTILINE)
    assert versions[0][0] == project["version"] == VERSION
    assert all(re.fullmatch(r"Unreleased|\d{4}-\d\d-\d\d", date) for _, date in versions)


def test_the_benchmark_has_its_place_in_readme() -> None:
    [region] = re.findall(r"<!-- bench -->(.*?)<!-- /bench -->", README.sections["Performance"], re.DOTALL)
    assert "make bench" in region
