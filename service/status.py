"""How the status of a response is spelled outside of the contract's enum. It knows no transitions."""

from answerd.v1.response_pb2 import ResponseStatus


def status_name(status: ResponseStatus.ValueType) -> str:
    """A status as the store and the JSON spell it, as in `in_progress`."""
    return ResponseStatus.Name(status).removeprefix("RESPONSE_STATUS_").lower()
