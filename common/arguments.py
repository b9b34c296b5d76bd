"""Collects the texts that the environment and the command line give to settings, and refuses names nobody knows.

It does not know what the settings are or what values they take: names come in as arguments, texts go out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PREFIX = "ANSWERD_"


class SettingsError(Exception):
    """A setting is wrong; `str()` is one sentence that names the variable, its value and what is allowed."""


@dataclass(frozen=True)
class Names:
    """The names that may be used, as field names (`http_port`)."""

    settings: tuple[str, ...]
    switches: frozenset[str]
    aliases: Mapping[str, str]


@dataclass(frozen=True)
class Given:
    """A text given to a setting, and the variable or flag it came from."""

    text: str
    origin: str


def variable_of(setting: str) -> str:
    return PREFIX + setting.upper()


def flag_of(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def collect(argv: Sequence[str], environ: Mapping[str, str], names: Names) -> dict[str, Given]:
    """The text given to each setting; a flag wins over a variable, and an empty text counts as not given.

    Raises SettingsError for an unknown flag or ANSWERD_* variable, or a flag without its value.
    """
    given = {**_from_environ(environ, names), **_from_argv(argv, names)}
    return {setting: value for setting, value in given.items() if value.text != ""}


def _from_environ(environ: Mapping[str, str], names: Names) -> dict[str, Given]:
    given = {setting: Given(environ[alias], alias) for alias, setting in names.aliases.items() if environ.get(alias)}
    known = {variable_of(setting): setting for setting in names.settings}
    for variable, text in environ.items():
        if variable in known:
            if text:
                given[known[variable]] = Given(text, variable)
        elif variable.startswith(PREFIX):
            raise SettingsError(f"{variable} is not a setting{_suggestion(variable, known)}")
    return given


def _from_argv(argv: Sequence[str], names: Names) -> dict[str, Given]:
    known = {flag_of(setting): setting for setting in names.settings}
    given: dict[str, Given] = {}
    words = iter(argv)
    for word in words:
        flag, equals, text = word.partition("=")
        flag = flag.replace("_", "-")
        if not word.startswith("--"):
            raise SettingsError(f"{word!r} is not expected here: settings are flags such as --http-port 8080.")
        if flag not in known:
            raise SettingsError(f"{flag} is not a flag{_suggestion(flag, known)}")
        if not equals:
            text = "true" if known[flag] in names.switches else _value_after(flag, words)
        given[known[flag]] = Given(text, flag)
    return given


def _value_after(flag: str, words: Iterable[str]) -> str:
    text = next(iter(words), None)
    if text is None or text.startswith("--"):
        raise SettingsError(f"{flag} ({variable_of(flag[2:].replace('-', '_'))}) needs a value.")
    return text


def _suggestion(name: str, known: Mapping[str, str]) -> str:
    """The end of the sentence about an unknown name; `known` maps names of its kind to settings."""
    from difflib import get_close_matches  # only wanted when something is wrong already

    bare = name.removeprefix(PREFIX).strip("-").replace("-", "_").lower()
    close = get_close_matches(bare, list(known.values()), n=1)
    names = {setting: spelled for spelled, setting in known.items()}
    return f"; did you mean {names[close[0]]}?" if close else "; --help lists them all."
