"""What a repository holds at one commit, as the hub tells it, and the memory of it. It asks nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from service.models.hub.errors import HubError
from service.models.hub.files import write_whole
from service.models.hub.name import is_inner_path

_COMMIT = re.compile(r"[0-9a-f]{40}")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """size: in bytes. digest: in hexadecimal, the SHA-256 of a large file (64 digits), git's id of a small one (40)."""

    size: int
    digest: str


@dataclass(frozen=True)
class Listing:
    """files: by their path. Constructing one raises HubError where a name could lead out of the cache's folders."""

    commit: str
    files: Mapping[str, HubFile]

    def __post_init__(self) -> None:
        if not _COMMIT.fullmatch(self.commit):
            raise HubError(f"the hub names {self.commit!r} as the commit, which is none")
        for path, file in self.files.items():
            if not is_inner_path(path):
                raise HubError(f"it lists the file {path!r}, a name that is not safe to use here")
            if not _DIGEST.fullmatch(file.digest) or file.size < 0:
                raise HubError(f"the hub states no checksum or no size of its file {path}")


def remember(record: Path, listing: Listing) -> None:
    """Writes it whole or not at all. Raises OSError."""
    write_whole(record, json.dumps(asdict(listing)))


def recall(record: Path) -> Listing | None:
    """What was remembered; None if nothing was, or nothing that makes sense."""
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        files = {path: HubFile(int(file["size"]), str(file["digest"])) for path, file in content["files"].items()}
        return Listing(str(content["commit"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, HubError):
        return None
