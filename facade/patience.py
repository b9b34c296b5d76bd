"""How long the facade waits for a client that is slow or silent. It knows nothing else of clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """In seconds. `head`: from the connection to the first request's headers. `body`: for all of a request's body."""

    head: float = 30.0
    body: float = 60.0
