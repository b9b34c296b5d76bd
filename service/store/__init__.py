"""Durable responses: `open_store` gives the Store that a URL names. Knows no contents, only who owns what and for how
long; what the operations promise stands in `service.store.protocol`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from common.places import with_home
from service.store.errors import (
    ParentNotFound,
    RecordExists,
    StoreCorrupt,
    StoreError,
    StoreLocked,
    StoreTooNew,
    StoreUnavailable,
)
from service.store.protocol import IN_PROGRESS, SECONDS_A_DAY, AnsweredKey, Bounds, Counts, Record, Replay, Store
from service.store.sqlite import SqliteStore

__all__ = [
    "IN_PROGRESS",
    "SECONDS_A_DAY",
    "AnsweredKey",
    "Bounds",
    "Counts",
    "ParentNotFound",
    "Record",
    "RecordExists",
    "Replay",
    "SqliteStore",
    "Store",
    "StoreCorrupt",
    "StoreError",
    "StoreLocked",
    "StoreTooNew",
    "StoreUnavailable",
    "open_store",
]

SCHEME = "sqlite:///"


async def open_store(url: str, bounds: Bounds, clock: Callable[[], float] = time.time) -> Store:
    """Opens the store at `sqlite:///PATH`; a fourth slash begins an absolute path. Raises StoreError, one sentence."""
    return await SqliteStore.open(_path_of(url), bounds, clock)


def _path_of(url: str) -> Path:
    path = url.removeprefix(SCHEME)
    if path in (url, ""):
        raise StoreError(f"The store {url!r} is not of the form sqlite:///PATH.")
    try:
        return with_home(Path(path)).absolute()
    except LookupError as error:
        raise StoreError(f"ANSWERD_STORE is {url!r}, but {error}.") from None
