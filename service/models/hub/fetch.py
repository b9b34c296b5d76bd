"""From the name of a model on the hub to its files on this disk: what is here is taken, what is missing is fetched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inference.types import Precision
from service.models.hub.cache import RepositoryCache
from service.models.hub.choice import Choice, choose
from service.models.hub.errors import HubError, Unreachable
from service.models.hub.listing import HubFile, Listing, recall, remember
from service.models.hub.name import HubName

if TYPE_CHECKING:
    from service.models.hub.client import HubClient

Report = Callable[[str], Callable[[float], None]]


@dataclass(frozen=True)
class Fetcher:
    """Gets models for one precision and device.

    records: the folder where is remembered what the repositories hold, so that a later start asks nobody. precisions:
    those that will do, the first choice first. cache: the folder of the hub's cache, and client: whom to ask; None for
    what the hub's own variables say.
    """

    records: Path
    precisions: Sequence[Precision]
    is_cuda: bool
    report: Report
    cache: Path | None = None
    client: HubClient | None = None

    def __call__(self, name: HubName) -> Path:
        """The GGUF file or directory, complete and checked. Raises HubError, and OSError for what cannot be written."""
        cache = RepositoryCache(self.cache or _cache_folder(), name.repository)
        record = self.records / f"{name.repository.replace('/', '--')}.json"
        known = recall(record)
        if known is not None and (path := self._in_place(name, cache, known.commit, known.files)) is not None:
            return path
        try:
            listing = self._client().listing(name.repository)
        except Unreachable:
            # Another tool of the hub may have put it there, which leaves no record of ours.
            main = cache.main()
            if main is not None and (path := self._in_place(name, cache, *main)) is not None:
                return path
            raise
        choice = self._choose(name, listing.files)
        self._fetch(name, cache, listing, choice)
        remember(record, listing)
        return cache.snapshot(listing.commit) / choice.opens

    def _choose(self, name: HubName, files: Collection[str]) -> Choice:
        return choose(files, name.file, self.precisions, is_cuda=self.is_cuda)

    def _in_place(self, name: HubName, cache: RepositoryCache, commit: str, files: Collection[str]) -> Path | None:
        try:
            choice = self._choose(name, files)
        except HubError:
            return None
        return cache.snapshot(commit) / choice.opens if cache.holds(commit, choice.files) else None

    def _client(self) -> HubClient:
        # What it imports takes a third of a second, which a start that has all does not need.
        from service.models.hub.client import HubClient

        return self.client or HubClient()

    def _fetch(self, name: HubName, cache: RepositoryCache, listing: Listing, choice: Choice) -> None:
        wanted = {path: listing.files[path] for path in choice.files}
        missing = {path: file for path, file in wanted.items() if not cache.blob(file.digest).exists()}
        if missing:
            cache.folder.joinpath("blobs").mkdir(parents=True, exist_ok=True)
            total, before = max(sum(file.size for file in missing.values()), 1), 0
            rest = _check_room(cache, missing.values())
            show = self.report(f"downloading {name.repository} ({_size(total)})")
            show(1 - rest / total)  # also where nothing comes for a while, because another process fetches
            for path, file in missing.items():
                self._fetch_file(name, cache, listing.commit, path, file, _Shown(show, before, total))
                before += file.size
            show(1.0)
        for path, file in wanted.items():
            cache.link(listing.commit, path, file.digest)
        cache.call_main(listing.commit)

    def _fetch_file(
        self, name: HubName, cache: RepositoryCache, commit: str, path: str, file: HubFile, told: Callable[[int], None]
    ) -> None:
        with cache.lock(file.digest):
            if cache.blob(file.digest).exists():  # another process has fetched it meanwhile
                return
            partial = cache.partial(file.digest)
            try:
                with partial.open("ab") as content:
                    self._client().receive(name.repository, commit, path, file.size, content, told)
            except OSError as error:  # what is wrong with a write does not say where
                raise OSError(error.errno, error.strerror, str(partial)) from error
            if not cache.keep(file.digest):
                raise HubError(
                    f"{path} of {name.repository} arrived without the checksum that the hub states; what arrived was"
                    " deleted: try again"
                )


@dataclass(frozen=True)
class _Shown:
    """The progress of one file, shown as that of all. before: bytes of the files that came first."""

    show: Callable[[float], None]
    before: int
    total: int

    def __call__(self, size: int) -> None:
        self.show((self.before + size) / self.total)


def _check_room(cache: RepositoryCache, files: Collection[HubFile]) -> int:
    """The bytes that are still to come. Raises HubError where the disk cannot hold them."""
    partials = {file: cache.partial(file.digest) for file in files}
    rest = sum(max(file.size - (path.stat().st_size if path.exists() else 0), 0) for file, path in partials.items())
    if rest > (free := shutil.disk_usage(cache.folder).free):
        raise HubError(f"{_size(rest)} of it are still to be fetched, and {cache.folder} has {_size(free)} of room")
    return rest


def _cache_folder() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
