"""Every reason has a code, and every error arrives as a rich status."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.error_pb2 import ErrorReason
from inference.chat import TemplateError
from inference.types import ContextLengthExceeded, EngineStopped, InferenceError, QueueFull
from service import errors
from service.errors import CODES, InvalidRequest, Reason, ServiceError, TryLater, Violation, service_error_of, to_status
from service.store import StoreCorrupt, StoreUnavailable

PREFIX = "ERROR_REASON_"
CODE_NAMES = [code.name for code in grpc.StatusCode]


def details_of(error: ServiceError) -> tuple[status_pb2.Status, dict[str, object]]:
    """The status that travels, and its details by the name of their kind."""
    _, _, ((key, value),) = to_status(error)
    assert key == "grpc-status-details-bin"
    status = status_pb2.Status.FromString(value)
    found: dict[str, object] = {}
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo):
        for detail in status.details:
            if detail.Is(kind.DESCRIPTOR):
                found[kind.__name__] = kind.FromString(detail.value)
    assert len(found) == len(status.details)
    return status, found


def test_every_reason_of_the_contract_is_here_and_no_other() -> None:
    contract = {name.removeprefix(PREFIX) for name in ErrorReason.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
    assert {reason.name for reason in Reason} == contract
    assert all(reason.name == reason.value for reason in Reason)


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_the_code_that_the_contract_names(reason: Reason) -> None:
    comment = _comment_of(reason)
    named = [name for name in CODE_NAMES if name in comment]
    expected = named[0] if named else "INVALID_ARGUMENT"  # only UNKNOWN_PARAMETER, which is HTTP's alone
    assert named or reason is Reason.UNKNOWN_PARAMETER
    code, message, _ = to_status(ServiceError(reason, "What happened."))
    assert (code.name, message) == (expected, "What happened.")
    assert CODES[reason] is code


@pytest.mark.parametrize("reason", list(Reason))
def test_every_error_carries_its_reason_and_domain(reason: Reason) -> None:
    status, details = details_of(ServiceError(reason, "What happened.", details={"number": "7"}))
    info = details["ErrorInfo"]
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain, dict(info.metadata)) == (reason.name, "answerd", {"number": "7"})
    assert (status.code, status.message) == (CODES[reason].value[0], "What happened.")
    assert list(details) == ["ErrorInfo"]


def test_all_violations_arrive_in_order_each_with_its_own_reason() -> None:
    error = InvalidRequest(
        [
            Violation("input", Reason.MISSING_REQUIRED_PARAMETER, "Missing."),
            Violation("min_p", Reason.UNSUPPORTED_PARAMETER, "Unsupported."),
        ]
    )
    _, details = details_of(error)
    bad_request = details["BadRequest"]
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    told = [(found.field, found.reason, found.description) for found in bad_request.field_violations]
    assert told == [
        ("input", "MISSING_REQUIRED_PARAMETER", "Missing."),
        ("min_p", "UNSUPPORTED_PARAMETER", "Unsupported."),
    ]
    assert (error.reason, error.message, error.param) == (Reason.MISSING_REQUIRED_PARAMETER, "Missing.", "input")


def test_an_error_with_a_param_names_it_where_violations_name_theirs() -> None:
    _, details = details_of(errors.previous_response_not_found("resp_1"))
    bad_request = details["BadRequest"]
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    assert [found.field for found in bad_request.field_violations] == ["previous_response_id"]


@pytest.mark.parametrize("seconds", [0.25, 1, 5])
def test_a_passing_trouble_says_when_to_try_again(seconds: float) -> None:
    _, details = details_of(TryLater(Reason.UNAVAILABLE, "Later.", retry_after=seconds))
    retry = details["RetryInfo"]
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() == seconds


@given(st.lists(st.text(max_size=400), min_size=1, max_size=60))
def test_details_never_outgrow_what_a_client_takes(words: list[str]) -> None:
    """The first violation is always told; a single one is bounded by what its author quotes."""
    violations = [Violation(f"input[{n}]", Reason.INVALID_VALUE, text) for n, text in enumerate(words)]
    _, _, ((_, value),) = to_status(InvalidRequest(violations))
    assert len(value) <= 4096
    _, details = details_of(InvalidRequest(violations))
    bad_request = details["BadRequest"]
    assert isinstance(bad_request, error_details_pb2.BadRequest)
    assert [found.description for found in bad_request.field_violations] == words[: len(bad_request.field_violations)]


@pytest.mark.parametrize(
    ("error", "reason", "sentence"),
    [
        (errors.response_not_found("resp_1"), "RESPONSE_NOT_FOUND", "Response with ID 'resp_1' not found."),
        (
            errors.previous_response_not_found("resp_1"),
            "PREVIOUS_RESPONSE_NOT_FOUND",
            "Previous response with ID 'resp_1' not found.",
        ),
        (
            errors.previous_response_not_usable("resp_1", "failed"),
            "PREVIOUS_RESPONSE_NOT_USABLE",
            "Previous response with ID 'resp_1' cannot be continued: its status is 'failed'.",
        ),
    ],
)
def test_fixed_sentences_are_those_of_the_contract(error: ServiceError, reason: str, sentence: str) -> None:
    assert (error.reason.name, error.message) == (reason, sentence)


def test_a_long_id_is_cut_in_messages() -> None:
    assert len(errors.response_not_found("x" * 1_000_000).message) < 200


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (QueueFull("full"), Reason.RATE_LIMIT_EXCEEDED),
        (EngineStopped("stopped"), Reason.UNAVAILABLE),
        (ContextLengthExceeded(9000, 4095), Reason.CONTEXT_LENGTH_EXCEEDED),
        (TemplateError("Roles must alternate."), Reason.INVALID_VALUE),
        (StoreUnavailable("/var/lib/answerd.db: disk full"), Reason.STORE_UNAVAILABLE),
        (StoreCorrupt("/var/lib/answerd.db: damaged"), Reason.STORE_UNAVAILABLE),
        (InferenceError("secret"), Reason.INTERNAL),
        (KeyError("secret"), Reason.INTERNAL),
    ],
)
def test_exceptions_of_other_parts_become_errors_of_the_contract(raised: Exception, reason: Reason) -> None:
    told = service_error_of(raised, "req_1")
    assert told.reason is reason
    assert "secret" not in told.message
    assert "/var/lib" not in told.message


def test_a_full_queue_says_when_to_try_again() -> None:
    told = service_error_of(QueueFull(), "req_1")
    assert isinstance(told, TryLater)
    assert told.retry_after > 0


def test_an_overlong_prompt_is_told_with_both_numbers() -> None:
    told = service_error_of(ContextLengthExceeded(9000, 4095), "req_1")
    assert "9000" in told.message
    assert "4095" in told.message
    assert (told.param, told.details) == ("input", {"prompt_tokens": "9000", "limit": "4095"})


def test_an_estimate_is_told_as_one() -> None:
    told = service_error_of(ContextLengthExceeded(9000, 4095, at_least=True), "req_1")
    assert "at least 9000 tokens" in told.message


def test_an_unknown_exception_is_told_with_the_request_id_alone() -> None:
    told = service_error_of(ValueError("/etc/passwd"), "req_1")
    assert told.message == "Internal error (request req_1)"


def test_an_error_of_the_service_stays_what_it_is() -> None:
    error = errors.unavailable()
    assert service_error_of(error, "req_1") is error


def _comment_of(reason: Reason) -> str:
    """The comment of the reason in the contract's source, which generated code does not carry."""
    source = Path(__file__).parents[2] / "proto" / "answerd" / "v1" / "error.proto"
    comment: list[str] = []
    for line in source.read_text(encoding="utf-8").splitlines():
        if line.strip().startswith("//"):
            comment.append(line.strip(" /"))
        elif f"{PREFIX}{reason.name} " in line:
            return " ".join(comment)
        else:
            comment = []
    raise AssertionError(f"{reason.name} is not in the contract")
