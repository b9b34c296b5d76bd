"""README's commands, typed into a shell in the order of the page, against a running server."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from answerd.v1.responses_service_pb2 import DESCRIPTOR as CONTRACT
from tests.docs.markdown import Page, blocks, code, commands, table
from tests.docs.terminal import Ran, Terminal, at
from tests.support.event_order import check_events, check_rest
from tests.support.openresponses import validate_compaction, validate_event, validate_response
from tests.support.server import Server, running
from tests.support.sse import parse_frames

README = Page("README.md")
KEYS = "API keys"
SERVICE = CONTRACT.services_by_name["ResponsesService"]
# They install, serve or test; each is run elsewhere.
SET_UP = ("make run", "make test", "ANSWERD_API_KEYS_FILE=keys.txt make run")

SHELL = [
    command
    for name, section in README.sections.items()
    if name != KEYS
    for block in blocks(section, "sh")
    for command in commands(block)
    if command not in SET_UP
]
PYTHON = blocks(README.text, "python")


def is_ended(response: Any) -> None:
    validate_response(response)
    assert response["status"] in ("completed", "incomplete")
    # The model may have nothing to say, but it has to end its turn then.
    assert response["usage"]["output_tokens"] > 0
    assert isinstance(response["output_text"], str)


def is_answer(output: str) -> None:
    is_ended(json.loads(output))


def is_cancelled(output: str) -> None:
    response = json.loads(output)
    validate_response(response)
    assert (response["status"], response["background"]) == ("cancelled", True)


def is_person(output: str) -> None:
    is_answer(output)
    person = json.loads(json.loads(output)["output_text"])
    assert {key: type(value) for key, value in person.items()} == {"name": str, "born": int}


def is_date(output: str) -> None:
    is_answer(output)
    assert re.fullmatch(r"(January|May|November) [0-9]{1,2}, 18[0-9]{2}", json.loads(output)["output_text"])


def is_thought_out(output: str) -> None:
    is_answer(output)
    assert [item["type"] for item in json.loads(output)["output"]] == ["reasoning", "message"]


def is_follow_up(output: str) -> None:
    is_answer(output)
    assert json.loads(output)["previous_response_id"].startswith("resp_")


def is_stream(output: str) -> None:
    events = parse_frames(output.encode())
    check_events(events)
    for event in events:
        validate_event(event)
    assert events[-1]["type"] in ("response.completed", "response.incomplete")


def is_rest_of_stream(output: str) -> None:
    events = parse_frames(output.encode())
    check_rest(events)
    assert events[0]["sequence_number"] == 4


def is_id(output: str) -> None:
    assert re.fullmatch(r"resp_[0-9a-f]{32}", output.strip())


def has(**expected: object) -> Callable[[str], None]:
    def check(output: str) -> None:
        value = json.loads(output)
        assert {key: value.get(key) for key in expected} == expected

    return check


def is_count(key: str) -> Callable[[str], None]:
    def check(output: str) -> None:
        assert int(json.loads(output)[key]) > 5

    return check


def is_compacted(output: str) -> None:
    compacted = json.loads(output)
    validate_compaction(compacted)
    assert [item["type"] for item in compacted["output"]] == ["message", "compaction"]


def is_compacted_over_grpc(output: str) -> None:
    message, compaction = json.loads(output)["output"]
    assert "message" in message
    assert compaction["compaction"]["encryptedContent"]


def lists_the_question(output: str) -> None:
    [item] = json.loads(output)["data"]
    assert "My name is Ada." in str(item)


def is_models(output: str) -> None:
    [model] = json.loads(output)["data"]
    assert model["id"] == "SmolLM2-135M-Instruct"


def parse_grpc_events(output: str) -> list[Any]:
    decoder, events, place = json.JSONDecoder(), list[Any](), 0
    while output[place:].strip():
        event, place = decoder.raw_decode(output, len(output) - len(output[place:].lstrip()))
        events.append(event)
    return events


def is_whole_grpc_stream(output: str) -> None:
    assert "created" in parse_grpc_events(output)[0]
    is_grpc_stream(output)


def is_grpc_stream(output: str) -> None:
    events = parse_grpc_events(output)
    [ended] = (events[-1][kind]["response"] for kind in ("completed", "incomplete") if kind in events[-1])
    assert int(ended["usage"]["outputTokens"]) > 0


def is_rest_over_grpc(output: str) -> None:
    assert parse_grpc_events(output)[0]["sequenceNumber"] == "4"
    is_grpc_stream(output)


def is_cancelled_over_grpc(output: str) -> None:
    response = json.loads(output)
    assert (response["status"], response["background"]) == ("RESPONSE_STATUS_CANCELLED", True)


def is_stored_response(output: str) -> None:
    response = json.loads(output)
    assert response["status"] in ("RESPONSE_STATUS_COMPLETED", "RESPONSE_STATUS_INCOMPLETE")
    assert response["output"]


def names_the_services(output: str) -> None:
    assert {SERVICE.full_name, "grpc.health.v1.Health"} <= set(output.split())


def names_the_methods(output: str) -> None:
    assert {f"{SERVICE.full_name}/{method.name}" for method in SERVICE.methods} <= set(output.split())


# The first pattern that a command has in it tells what it has to print.
CHECKS: tuple[tuple[str, Callable[[str], None]], ...] = (
    (r"^id=", is_id),
    (r'"json_schema"', is_person),
    (r"<think>", is_thought_out),
    (r'"regex"', is_date),
    (r'"stream": true', is_stream),
    (r'\?stream=true"$', is_stream),
    (r"starting_after=3", is_rest_of_stream),
    (r"^curl .*/cancel$", is_cancelled),
    (r"^curl .*previous_response_id", is_follow_up),
    (r"Idempotency-Key", is_answer),
    (r"^curl .*/v1/responses -H", is_answer),
    (r"^curl .*/input_tokens -H", is_count("input_tokens")),
    (r"^curl .*/compact -H", is_compacted),
    (r"^curl .*/input_items", lists_the_question),
    (r"^curl .*-X DELETE .*/v1/responses/\$id", has(object="response.deleted", deleted=True)),
    (r"^curl .*/v1/responses/\$id$", is_answer),
    (r"^curl .*/v1/models$", is_models),
    (r"^curl .*/v1/models/default$", has(id="SmolLM2-135M-Instruct", object="model")),
    (r"^curl .*/openapi.json$", has(openapi="3.1.0")),
    (r"^curl .*/health$", has(status="ok", service="SERVING")),
    (r"^curl .*/livez$", has(status="ok")),
    (r"^curl .*/readyz$", has(status="ready")),
    (r"^grpcurl .* list$", names_the_services),
    (r"^grpcurl .* list answerd", names_the_methods),
    (r"^grpcurl .*/CreateResponse$", is_whole_grpc_stream),
    (r"^grpcurl .*/StreamResponse$", is_rest_over_grpc),
    (r"^grpcurl .*/CancelResponse$", is_cancelled_over_grpc),
    (r"^grpcurl .*/GetResponse$", is_stored_response),
    (r"^grpcurl .*/DeleteResponse$", has(deleted=True)),
    (r"^grpcurl .*/ListInputItems$", lists_the_question),
    (r"^grpcurl .*/CountInputTokens$", is_count("inputTokens")),
    (r"^grpcurl .*/CompactResponse$", is_compacted_over_grpc),
    (r"^grpcurl .*/ListModels$", is_models),
    (r"^grpcurl .*/GetModel$", has(id="SmolLM2-135M-Instruct")),
    (r"^grpcurl .*/Check$", has(status="SERVING")),
)


@pytest.fixture(scope="module")
def results(terminal: Terminal, server: Server) -> list[Ran]:
    """What came of each command. All of them run, since one may use a variable that those before it set."""
    return [terminal.run(at(server, command)) for command in SHELL]


@pytest.mark.parametrize("number", range(len(SHELL)), ids=lambda number: SHELL[number][:70])
def test_a_command_of_readme_prints_what_it_should(results: list[Ran], number: int) -> None:
    ran = results[number]
    assert ran.status == 0, ran.output
    check = next(check for pattern, check in CHECKS if re.search(pattern, SHELL[number], re.DOTALL))
    check(ran.output)


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in CHECKS])
def test_every_kind_of_command_is_shown(pattern: str) -> None:
    """A pattern without a command would be a gap in README, or a leftover here."""
    first = [next(known for known, _ in CHECKS if re.search(known, command, re.DOTALL)) for command in SHELL]
    assert pattern in first


def test_the_set_up_commands_stand_in_readme() -> None:
    shown = {command for block in blocks(README.text, "sh") for command in commands(block)}
    assert set(SET_UP) <= shown


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_block_of_readme_runs(terminal: Terminal, server: Server, tmp_path: Path, number: int) -> None:
    script = tmp_path / "block.py"
    script.write_text(at(server, PYTHON[number]), encoding="utf-8")
    ran = terminal.run(f".venv/bin/python {script}")
    assert ran.status == 0, ran.output
    assert re.search(r"^ ?(completed|incomplete) ", ran.output, re.MULTILINE)
    assert "False" not in ran.output


def test_keys_made_as_readme_says_open_the_server(terminal: Terminal, tmp_path: Path, model_cache: Path) -> None:
    make_key, make_run, *calls = (
        command for block in blocks(README.sections[KEYS], "sh") for command in commands(block)
    )
    assert terminal.run(make_key).output.splitlines()[-1].startswith("sk-answerd-")
    name, _, value = make_run.partition(" ")[0].partition("=")
    file = terminal.run(f'echo "$PWD/{value}"').output.strip()
    settings = {"cache_dir": model_cache, "store": f"sqlite:///{tmp_path / 'store.db'}", "slots": 1}
    with running({**settings, name.removeprefix("ANSWERD_").lower(): file}) as locked:
        for call in calls:
            is_models(terminal.run(at(locked, call)).output)
            refused = terminal.run(at(locked, call).replace("$key", "sk-answerd-wrong"))
            assert "invalid_api_key" in refused.output or refused.status != 0
            assert "SmolLM2" not in refused.output


def test_what_readme_says_is_unsupported_is_refused_by_name(terminal: Terminal, server: Server) -> None:
    rows = table(README.sections["What is not there yet"], "parameter")
    asked = [(name, {"input": "hi"} | json.loads(f"{{{code(example)}}}")) for name, example in rows]
    wrong = []
    for name, body in asked:
        reply = post(terminal, server, body)
        error = reply.get("error", {})
        if error.get("code") != "unsupported_parameter" or not str(error.get("param")).startswith(code(name)):
            wrong.append((name, reply))
    assert wrong == []


def test_what_readme_says_is_without_effect_is_taken(terminal: Terminal, server: Server) -> None:
    sampling = {"top_k": 5, "seed": 1, "stop": ["zz"], "presence_penalty": 0.1, "frequency_penalty": 0.1}
    hints = {
        "user": "u",
        "service_tier": "auto",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "text": {"verbosity": "low"},
        "reasoning": {"summary": "auto", "generate_summary": "auto"},
        "stream_options": {"include_obfuscation": True},
    }
    is_ended(post(terminal, server, {"input": "hi", "max_tokens": 2} | sampling | hints))
    section = README.sections["What is not there yet"].replace("\n", " ")
    paths = {f"{key}.{inner}" for key, value in hints.items() if isinstance(value, dict) for inner in value}
    paths |= {key for key, value in hints.items() if not isinstance(value, dict)}
    [listed] = re.findall(r"Taken without effect, because they are hints: (.*?)\.(?: |$)", section)
    assert set(re.findall(r"`([^`]+)`", listed)) == paths


def post(terminal: Terminal, server: Server, body: object) -> Any:
    header = "'Content-Type: application/json'"
    return json.loads(terminal.run(f"curl -s {server.url}/v1/responses -H {header} -d '{json.dumps(body)}'").output)
