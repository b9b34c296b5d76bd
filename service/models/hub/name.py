"""`hf:owner/name[:file]`, what a model of the hub is called in the settings. It knows the form, not what there is."""

from __future__ import annotations

import re
from dataclasses import dataclass

from service.models.hub.errors import HubError

PREFIX = "hf:"
# The hub's own rule for its names; `--` stands for the slash in the names of its cache's folders.
_WORD = r"\w(?:[\w.-]*\w)?"
_REPOSITORY = re.compile(rf"(?!.*(?:--|\.\.))(?=.{{1,96}}$){_WORD}/{_WORD}", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """repository: `owner/name`. file: a GGUF file or a folder of it, or None."""

    repository: str
    file: str | None = None

    @classmethod
    def parse(cls, source: str) -> HubName | None:
        """None for a source of another kind. Raises HubError for one that is written wrongly."""
        if not source.startswith(PREFIX):
            return None
        repository, separator, file = source.removeprefix(PREFIX).partition(":")
        file = file.removesuffix("/")
        if not _REPOSITORY.fullmatch(repository) or (separator and not is_inner_path(file)):
            raise HubError("the form is hf:owner/name or hf:owner/name:file, where file is a path in the repository")
        return cls(repository, file if separator else None)

    @property
    def name(self) -> str:
        """The repository's name without its owner."""
        return self.repository.partition("/")[2]


def is_inner_path(path: str) -> bool:
    """Whether a path of a repository stays below the folder that it is put into."""
    return "\\" not in path and path.isprintable() and all(part not in ("", ".", "..") for part in path.split("/"))
