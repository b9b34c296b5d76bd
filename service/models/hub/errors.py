"""What keeps a model from being fetched; each message is a clause, to follow `ANSWERD_MODEL is 'hf:...', but`.

Error tree:
    HubError
    └── Unreachable    no answer from the hub, or offline mode: what lies in the cache may still do
"""


class HubError(Exception):
    """The model cannot be fetched."""


class Unreachable(HubError):
    """The hub does not answer, or must not be asked."""
