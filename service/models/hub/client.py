"""Asks the hub: what a repository holds, and the bytes of one file, from where an earlier try ended.

The library huggingface_hub has the addresses, the token and the session. Its own download starts afresh when a process
does, and does not look at checksums, so the bytes are read here. It knows neither models nor the cache.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from httpx2 import RequestError
from huggingface_hub import HfApi, constants, get_session, hf_hub_url, hf_raise_for_status
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import build_hf_headers

from service.models.hub.errors import HubError, Unreachable
from service.models.hub.listing import HubFile, Listing

# So often the same byte is asked for, with a pause between.
TRIES = 5
PAUSE_SECONDS = 1.0
_PARTIAL_CONTENT = 206

Told = Callable[[int], None]
"""Called with how many bytes of a file there are."""


class HubClient:
    """endpoint: where the hub is; None for what HF_ENDPOINT says. pause: seconds before a failed transfer goes on."""

    def __init__(self, endpoint: str | None = None, pause: float = PAUSE_SECONDS) -> None:
        self._endpoint, self._pause = endpoint or constants.ENDPOINT, pause
        self._api = HfApi(endpoint=self._endpoint, library_name="answerd")
        # What the library has to say becomes lines of our log, once.
        logging.getLogger("huggingface_hub").handlers.clear()

    def listing(self, repository: str) -> Listing:
        """All files of the newest commit of the main branch. Raises HubError."""
        with self._named(repository):
            try:
                commit = str(self._api.model_info(repository).sha)
                entries = self._api.list_repo_tree(repository, recursive=True, revision=commit)
                return Listing(commit, {entry.path: _file(entry) for entry in entries if isinstance(entry, RepoFile)})
            except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
                raise HubError(f"what answers at {self._endpoint} (HF_ENDPOINT) does not speak like the hub") from error

    def receive(self, repository: str, commit: str, path: str, size: int, file: BinaryIO, told: Told) -> None:
        """Appends to a file what it lacks of `size` bytes. Raises HubError, and OSError where it cannot be written;
        what has arrived by then is in the file."""
        url = hf_hub_url(repository, path, revision=commit, endpoint=self._endpoint)
        if file.tell() > size:
            _empty(file)
        failures = 0
        with self._named(repository):
            while (before := file.tell()) < size:
                problem = self._receive_on(url, size, file, told)
                failures = failures + 1 if file.tell() <= before else 0
                if problem is not None and failures >= TRIES:
                    raise problem
                if problem is not None:
                    time.sleep(self._pause)

    def _receive_on(self, url: str, size: int, file: BinaryIO, told: Told) -> Exception | None:
        """One request for the rest. What may be better the next time is returned instead of raised."""
        # Compressed, the bytes would be counted otherwise.
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={file.tell()}-"}
        headers |= build_hf_headers(library_name="answerd")
        try:
            with get_session().stream("GET", url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT) as answer:
                hf_raise_for_status(answer)
                if answer.status_code != _PARTIAL_CONTENT:
                    _empty(file)
                told(file.tell())
                for block in answer.iter_bytes():
                    file.write(block[: size - file.tell()])
                    file.flush()  # what has arrived stays, however this process ends
                    told(file.tell())
                    if file.tell() == size:
                        return None
        except RequestError as error:
            return error
        except HfHubHTTPError as error:
            if error.response.status_code < 500 and error.response.status_code != 429:
                raise
            return error
        return ConnectionError("the answer ended early")

    @contextmanager
    def _named(self, repository: str) -> Iterator[None]:
        """Within it, what the hub and the network do wrong is a HubError with a clause of ours."""
        try:
            yield
        except (RequestError, OfflineModeIsEnabled, ConnectionError) as error:
            raise Unreachable(self._unreachable(error)) from error
        except HfHubHTTPError as error:
            raise HubError(self._refusal(error, repository)) from error

    def _unreachable(self, error: Exception) -> str:
        if constants.is_offline_mode():
            return "it is not in the hub's cache on this machine, and HF_HUB_OFFLINE forbids to fetch it"
        problem = str(error) or type(error).__name__
        return (
            f"the hub at {self._endpoint} cannot be reached ({problem}); what has arrived of the model is kept, and the"
            " next try goes on from there"
        )

    def _refusal(self, error: HfHubHTTPError, repository: str) -> str:
        status = error.response.status_code
        if isinstance(error, GatedRepoError):
            page = f"{self._endpoint}/{repository}"
            return f"it is gated: accept its conditions at {page}, and set HF_TOKEN to a token of that account"
        if isinstance(error, RepositoryNotFoundError) or status == 404:
            return (
                f"{self._endpoint} has no such repository or file, or it is private: then set HF_TOKEN to a token that"
                " may read it"
            )
        if status in (401, 403):
            return f"the hub refuses to give {repository} ({status}): set HF_TOKEN to a token that may read it"
        return f"the hub answered {status} to a request about {repository}: try again later"


def _file(file: RepoFile) -> HubFile:
    return HubFile(file.size, file.blob_id) if file.lfs is None else HubFile(file.lfs.size, file.lfs.sha256)


def _empty(file: BinaryIO) -> None:
    file.seek(0)
    file.truncate()
