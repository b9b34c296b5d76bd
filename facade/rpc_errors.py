"""Reads a failed gRPC call: from its rich status, or from its bare code where gRPC itself refused, to an ApiError."""

from __future__ import annotations

from collections.abc import Iterable

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from facade.errors import SERVICE_RULES, ApiError, Fault, internal_error

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "answerd"
UNREACHABLE = "The service cannot be reached; it may be starting or stopping. Try again shortly."
CUT_OFF = "The service ended before the response did."

# What gRPC itself, without our details, means by a code.
BARE_CODES = {
    grpc.StatusCode.UNAVAILABLE: ("UNAVAILABLE", UNREACHABLE),
    grpc.StatusCode.CANCELLED: ("UNAVAILABLE", UNREACHABLE),
    grpc.StatusCode.DEADLINE_EXCEEDED: ("DEADLINE_EXCEEDED", "The request took too long."),
    grpc.StatusCode.RESOURCE_EXHAUSTED: ("REQUEST_TOO_LARGE", "The request is larger than the service takes."),
}


def api_error(code: grpc.StatusCode, details: str | None, trailers: Iterable[tuple[str, str | bytes]]) -> ApiError:
    """The failure of a call that ended with `code`, `details` and trailing metadata `trailers`."""
    status = _rich_status(trailers)
    info = error_details_pb2.ErrorInfo()
    if status is not None and _unpack(status, info) and info.domain == DOMAIN and info.reason in SERVICE_RULES:
        return _from_reason(info, status)
    if code in BARE_CODES:
        reason, message = BARE_CODES[code]
        return ApiError(reason, message, detail=f"{code.name}: {details}")
    return internal_error(f"{code.name}: {details}")


def _from_reason(info: error_details_pb2.ErrorInfo, status: status_pb2.Status) -> ApiError:
    if info.reason == "INTERNAL":
        return internal_error(status.message)
    retry = error_details_pb2.RetryInfo()
    faults = _faults(info.reason, status)
    return ApiError(
        info.reason,
        status.message,
        (faults[0].param if faults else info.metadata.get("param")) or None,
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if _unpack(status, retry) else None,
        faults=faults,
    )


def _faults(reason: str, status: status_pb2.Status) -> list[Fault]:
    """All violations that a status lists; those without a known reason of their own have that of the call."""
    found = error_details_pb2.BadRequest()
    if not _unpack(status, found):
        return []
    return [
        Fault(
            fault.reason if fault.reason in SERVICE_RULES else reason, fault.description or status.message, fault.field
        )
        for fault in found.field_violations
    ]


def _rich_status(trailers: Iterable[tuple[str, str | bytes]]) -> status_pb2.Status | None:
    for key, value in trailers:
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None


def _unpack(status: status_pb2.Status, into: Message) -> bool:
    """Whether one of the status's details is of the kind of `into`, which then holds it."""
    return any(detail.Unpack(into) for detail in status.details)
