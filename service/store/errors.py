"""What can go wrong with a store. Each `str()` is one sentence for the operator; some name a path, so not for clients.

StoreError
|-- StoreLocked
|-- StoreCorrupt
|-- RecordDamaged
|-- StoreTooNew
|-- StoreUnavailable
|-- RecordExists
`-- ParentNotFound
"""


class StoreError(Exception):
    """The store could not do what was asked."""


class StoreLocked(StoreError):
    """Another process has the file open."""


class StoreCorrupt(StoreError):
    """The file is damaged, or is no database of answerd; it was left as it is."""


class RecordDamaged(StoreError):
    """What one record holds cannot be read, although the database is in order. id: the record's."""

    def __init__(self, id: str) -> None:
        super().__init__(f"The record {id} is damaged; it was left as it is.")
        self.id = id


class StoreTooNew(StoreError):
    """A newer answerd wrote the file; it was left as it is."""


class StoreUnavailable(StoreError):
    """The disk is full, fails or forbids it. Nothing stored is lost, and a later call may succeed."""


class RecordExists(StoreError):
    """The id is taken, be it by a tombstone or by somebody else."""


class ParentNotFound(StoreError):
    """The parent is unknown, deleted, expired or somebody else's."""
