"""What one connection remembers: the last response of its own, until a continuation of it fails."""

import grpc
import pytest

from answerd.v1.content_pb2 import ContentPart, InputText
from answerd.v1.response_pb2 import ResponseStatus
from facade.create_request import read_create_request
from facade.errors import ApiError
from facade.websocket.memory import Memory, Turn
from tests.facade import scripts
from tests.facade.fake_service import FakeService, Refusal, Step
from tests.facade.websocket.conftest import Connect
from tests.support.talk import Talk

NOT_FOUND = (400, "previous_response_not_found", "previous_response_id")


def unstored(*pieces: str) -> list[Step]:
    """A response that the store does not have."""
    events = scripts.text(*pieces)
    for told in (events[0].created, events[1].in_progress, events[-1].completed):
        told.response.store = False
    return list(events)


async def test_a_response_that_is_not_stored_goes_on_with_its_items(service: FakeService, talk: Talk) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="My name is Ada.", instructions="Be brief.", store=False)
    await talk.ask(input=[{"role": "user", "content": "And mine?"}], previous_response_id="resp_1", store=False)
    request = service.requests[1]
    assert [item.message.content[0] for item in request.input.items.items] == [
        input_text("My name is Ada."),
        scripts.output_text("Hello."),
        input_text("And mine?"),
    ]
    assert (request.unstored_parent_id, request.HasField("previous_response_id")) == ("resp_1", False)
    assert not request.HasField("instructions")


def input_text(text: str) -> ContentPart:
    return ContentPart(input_text=InputText(text=text))


async def test_what_is_stored_is_left_to_the_store(service: FakeService, talk: Talk) -> None:
    service.script = scripts.text("Hello.")
    await talk.ask(input="hi")
    service.script = unstored("Again.")
    await talk.ask(input="again", previous_response_id="resp_1", store=False)
    await talk.ask(input="and again", previous_response_id="resp_1", store=False)
    second, third = service.requests[1:]
    assert (second.previous_response_id, second.input.text) == ("resp_1", "again")
    assert (third.previous_response_id, third.unstored_parent_id) == ("resp_1", "resp_1")
    assert len(third.input.items.items) == 3


async def test_another_response_is_looked_for_in_the_store_only_by_one_that_is_stored(
    service: FakeService, talk: Talk
) -> None:
    service.script = scripts.text("Hello.")
    assert await talk.refusal(input="hi", previous_response_id="resp_0", store=False) == NOT_FOUND
    assert not service.requests
    assert (await talk.ask(input="hi", previous_response_id="resp_0"))[-1]["type"] == "response.completed"
    assert service.requests[0].previous_response_id == "resp_0"


async def test_another_connection_knows_nothing_of_it(
    service: FakeService, url: str, connect: Connect, talk: Talk
) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="hi", store=False)
    other = await connect(url)
    assert await other.refusal(input="hi", previous_response_id="resp_1", store=False) == NOT_FOUND


FAILURES = [
    Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "no"),
    Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMIT_EXCEEDED", "full"),
]


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_continuation_that_fails_ends_what_it_continued(
    failure: Refusal, service: FakeService, talk: Talk
) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="hi", store=False)
    service.script = [failure]
    await talk.ask(input="go on", previous_response_id="resp_1", store=False)
    service.script = unstored("Hello.")
    assert await talk.refusal(input="go on", previous_response_id="resp_1", store=False) == NOT_FOUND
    assert len(service.requests) == 2


async def test_a_conversation_that_has_grown_too_long_for_the_service_is_refused_and_the_connection_stays(
    service: FakeService, talk: Talk
) -> None:
    """Each message is within the facade's limit, and what is remembered with it beyond the 4 MiB of this service."""
    half = "x" * 3 * 2**20
    service.script = unstored("Hello.")
    assert (await talk.ask(input=half, store=False))[-1]["type"] == "response.completed"
    go_on = {"input": half, "previous_response_id": "resp_1", "store": False}
    assert await talk.refusal(go_on) == (413, "request_too_large", None)
    assert len(service.requests) == 1
    # The continuation has failed; what it continued is forgotten, as after any other failure.
    assert await talk.refusal(go_on | {"input": "shorter"}) == NOT_FOUND
    assert (await talk.ask(input="hi", store=False))[-1]["type"] == "response.completed"


@pytest.mark.parametrize("fault", [{"stream": True}, {"bogus": 1}, {"temperature": "hot"}])
async def test_one_that_is_refused_at_the_door_does_so_too(
    fault: dict[str, object], service: FakeService, talk: Talk
) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="hi", store=False)
    await talk.refusal({"input": "go on", "previous_response_id": "resp_1", "store": False, **fault})
    assert await talk.refusal(input="go on", previous_response_id="resp_1", store=False) == NOT_FOUND


async def test_a_fault_elsewhere_ends_nothing(service: FakeService, talk: Talk) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="hi", store=False)
    assert (await talk.refusal(input="hi", bogus=1))[0] == 400
    events = await talk.ask(input="go on", previous_response_id="resp_1", store=False)
    assert events[-1]["type"] == "response.completed"


@pytest.mark.parametrize(
    ("input", "told"),
    [
        ([{"role": "user", "content": "go on"}], ("messages[0].content[0]", "'input[0].content[0]' is bad")),
        ("go on", ("messages", "'input' is bad")),
    ],
)
async def test_faults_are_told_at_the_places_of_the_clients_own_input(
    input: object, told: tuple[str, str], service: FakeService, talk: Talk
) -> None:
    service.script = unstored("Hello.")
    await talk.ask(input="hi", store=False)
    violations = (("input[2].content[0]", "'input[2].content[0]' is bad"),)
    service.script = [Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_VALUE", "no", violations)]
    (event,) = await talk.ask(messages=input, previous_response_id="resp_1", store=False)
    assert (event["error"]["param"], event["error"]["message"]) == told


def test_of_several_answers_the_first_is_remembered() -> None:
    memory = Memory()
    request = read_create_request({"input": "hi", "store": False}).message
    thought = scripts.reasoning_item("hm", scripts.COMPLETED)
    output = [thought, scripts.message("one"), thought, scripts.message("two")]
    memory.keep(Turn(request), scripts.completed(output, store=False))
    following = read_create_request({"input": "on", "store": False, "previous_response_id": "resp_1"}).message
    kept = memory.resume(following).request.input.items.items
    assert list(kept[1:3]) == output[:2]
    assert len(kept) == 4


@pytest.mark.parametrize("status", [ResponseStatus.RESPONSE_STATUS_FAILED, ResponseStatus.RESPONSE_STATUS_CANCELLED])
def test_a_response_without_an_end_of_its_own_takes_its_parent_along(status: ResponseStatus.ValueType) -> None:
    memory = Memory()
    turn = Turn(read_create_request({"input": "hi", "store": False}).message)
    memory.keep(turn, scripts.completed([scripts.message("one")], store=False))
    memory.keep(turn, scripts.response(status, id="resp_2", store=False))
    following = read_create_request({"input": "on", "store": False, "previous_response_id": "resp_1"}).message
    assert memory.resume(following).earlier == 2
    memory.keep(turn, scripts.response(status, id="resp_3", store=False, previous_response_id="resp_1"))
    with pytest.raises(ApiError, match="resp_1"):
        memory.resume(following)
