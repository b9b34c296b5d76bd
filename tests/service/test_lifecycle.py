"""The state machine of a response: which events, in which order, with which numbers."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerd.v1.event_pb2 import ResponseEvent
from answerd.v1.item_pb2 import ItemStatus, Role
from answerd.v1.response_pb2 import IncompleteReason, Response, ResponseStatus
from answerd.v1.usage_pb2 import Usage
from service.lifecycle import Cancelled, Completed, Ending, Failed, LengthReached, Lifecycle
from service.output.pieces import Text

USAGE = Usage(input_tokens=7, output_tokens=3, total_tokens=10)
FAILED = Failed("model_error", "The model failed.")
WHOLE = [
    "created",
    "in_progress",
    "output_item_added",
    "content_part_added",
    "output_text_delta",
    "output_text_delta",
    "output_text_done",
    "content_part_done",
    "output_item_done",
    "completed",
]


def new_lifecycle() -> Lifecycle:
    in_progress = ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
    response = Response(id="resp_1", model="scripted", status=in_progress, store=True)
    return Lifecycle(response, new_id=lambda kind: f"{kind}_1")


def told(pieces: list[str], ending: Ending) -> list[ResponseEvent]:
    """Everything that one response tells."""
    lifecycle = new_lifecycle()
    events = lifecycle.start()
    for piece in pieces:
        events += lifecycle.take(Text(piece, 0))
    return [*events, *lifecycle.end(ending, USAGE), lifecycle.last_event()]


def names(events: list[ResponseEvent]) -> list[str]:
    return [event.WhichOneof("event") or "" for event in events]


def last_response(events: list[ResponseEvent]) -> Response:
    last = events[-1]
    response: Response = getattr(last, last.WhichOneof("event") or "").response
    return response


def test_a_whole_answer_has_the_events_of_the_specification_in_order() -> None:
    assert names(told(["Hel", "lo"], Completed(at=9))) == WHOLE


def test_the_first_two_snapshots_are_in_progress_without_output() -> None:
    created, in_progress = new_lifecycle().start()
    for response in (created.created.response, in_progress.in_progress.response):
        assert response.id == "resp_1"
        assert response.status == ResponseStatus.RESPONSE_STATUS_IN_PROGRESS
        assert not response.output
        assert not response.HasField("usage")


def test_an_item_opens_empty_and_keeps_its_identity() -> None:
    events = told(["a"], Completed(at=9))
    added, part_added = events[2].output_item_added, events[3].content_part_added
    done = next(event.output_item_done for event in events if event.WhichOneof("event") == "output_item_done")
    assert added.item.message.id == part_added.item_id == done.item.message.id == "message_1"
    assert added.item.message.role == Role.ROLE_ASSISTANT
    assert added.item.message.status == ItemStatus.ITEM_STATUS_IN_PROGRESS
    assert not added.item.message.content
    assert part_added.part.WhichOneof("type") == "output_text"
    assert part_added.part.output_text.text == ""


def test_a_completed_response_says_when_and_what_it_took() -> None:
    response = last_response(told(["Hel", "lo"], Completed(at=9)))
    assert response.status == ResponseStatus.RESPONSE_STATUS_COMPLETED
    assert response.completed_at == 9
    assert response.usage == USAGE
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_COMPLETED
    assert not response.HasField("incomplete_details")
    assert not response.HasField("error")


def test_a_budget_that_is_used_up_leaves_item_and_response_incomplete() -> None:
    events = told(["Hel"], LengthReached())
    response = last_response(events)
    assert names(events)[-1] == "incomplete"
    assert response.status == ResponseStatus.RESPONSE_STATUS_INCOMPLETE
    assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_MAX_OUTPUT_TOKENS
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert not response.HasField("completed_at")


def test_a_failure_closes_what_is_open_then_tells_the_error_then_fails() -> None:
    events = told(["Hel"], FAILED)
    response = last_response(events)
    assert names(events)[-5:] == ["output_text_done", "content_part_done", "output_item_done", "error", "failed"]
    error = events[-2].error
    assert (error.type, error.code, error.message) == ("server_error", "model_error", "The model failed.")
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert (response.error.code, response.error.message) == ("server_error", "The model failed.")
    assert response.output[0].message.status == ItemStatus.ITEM_STATUS_INCOMPLETE
    assert response.output[0].message.content[0].output_text.text == "Hel"


def test_a_cancelled_response_is_told_as_incomplete() -> None:
    events = told(["Hel"], Cancelled())
    response = last_response(events)
    assert names(events)[-1] == "incomplete"
    assert response.status == ResponseStatus.RESPONSE_STATUS_CANCELLED
    assert response.incomplete_details.reason == IncompleteReason.INCOMPLETE_REASON_CANCELLED


@pytest.mark.parametrize("ending", [Completed(at=9), LengthReached()])
def test_an_empty_answer_is_a_message_with_an_empty_text(ending: Ending) -> None:
    events = told([], ending)
    assert names(events)[2:-1] == [name for name in WHOLE[2:-1] if name != "output_text_delta"]
    assert last_response(events).output[0].message.content[0].output_text.text == ""


@pytest.mark.parametrize("ending", [FAILED, Cancelled()])
def test_what_is_broken_off_before_its_first_text_has_no_output(ending: Ending) -> None:
    events = told([], ending)
    assert "output_item_added" not in names(events)
    assert not last_response(events).output


def test_a_failed_last_write_turns_a_completed_response_into_a_failed_one() -> None:
    lifecycle = new_lifecycle()
    lifecycle.start()
    lifecycle.take(Text("whole", 0))
    closing = lifecycle.end(Completed(at=9), USAGE)
    error, failed = lifecycle.fail(Failed("store_unavailable", "not stored")), lifecycle.last_event()
    assert [error.sequence_number, failed.sequence_number] == [
        closing[-1].sequence_number + 1,
        closing[-1].sequence_number + 2,
    ]
    response = failed.failed.response
    assert response.status == ResponseStatus.RESPONSE_STATUS_FAILED
    assert response.output[0].message.content[0].output_text.text == "whole"
    assert not response.HasField("completed_at")


def test_a_snapshot_has_the_text_so_far_and_is_a_copy() -> None:
    lifecycle = new_lifecycle()
    lifecycle.start()
    lifecycle.take(Text("so ", 0))
    lifecycle.take(Text("far", 0))
    snapshot = lifecycle.snapshot()
    snapshot.id = "changed"
    assert snapshot.output[0].message.status == ItemStatus.ITEM_STATUS_IN_PROGRESS
    assert snapshot.output[0].message.content[0].output_text.text == "so far"
    assert lifecycle.snapshot().id == "resp_1"
    lifecycle.end(Completed(at=9), USAGE)
    assert len(lifecycle.snapshot().output) == 1


def test_the_admitted_response_is_not_changed() -> None:
    admitted = Response(id="resp_1", status=ResponseStatus.RESPONSE_STATUS_IN_PROGRESS)
    lifecycle = Lifecycle(admitted)
    lifecycle.end(Cancelled(), USAGE)
    assert admitted.status == ResponseStatus.RESPONSE_STATUS_IN_PROGRESS


endings = st.sampled_from([Completed(at=9), LengthReached(), Cancelled(), FAILED])


@given(pieces=st.lists(st.text(min_size=1)), ending=endings)
def test_numbers_have_no_gaps_and_the_deltas_add_up_to_every_whole_text(pieces: list[str], ending: Ending) -> None:
    events = told(pieces, ending)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert names(events)[:2] == ["created", "in_progress"]
    assert sum(name in ("completed", "incomplete", "failed") for name in names(events)) == 1
    whole = "".join(event.output_text_delta.delta for event in events)
    assert whole == "".join(pieces)
    for event in events:
        match event.WhichOneof("event"):
            case "output_text_done":
                assert event.output_text_done.text == whole
            case "content_part_done":
                assert event.content_part_done.part.output_text.text == whole
            case "output_item_done":
                assert event.output_item_done.item == last_response(events).output[0]


def test_a_delta_costs_the_same_late_in_an_answer_as_early() -> None:
    """Copying the text so far with each delta would make the second half cost thousands of times more."""
    lifecycle = new_lifecycle()
    lifecycle.start()

    def fastest(count: int) -> float:
        times = []
        for _ in range(count):
            begun = perf_counter()
            lifecycle.take(Text("word ", 0))
            times.append(perf_counter() - begun)
        return min(times)

    early = fastest(100)
    lifecycle.take(Text("x" * 20_000_000, 0))
    assert fastest(100) < 50 * early
