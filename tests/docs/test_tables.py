"""README's tables say what the code says."""

import re
from typing import Any

import grpc
import pytest

from answerd.v1.responses_service_pb2 import DESCRIPTOR as CONTRACT
from bench.options import PARTS
from common.settings import settings_table
from facade import create_request, unsupported
from facade.errors import RULES, SERVICE_RULES
from inference.gguf.block_types import SUPPORTED_TYPES
from inference.gguf.families import FAMILIES
from service.errors import CODES, Reason
from service.validate.unsupported import UNSUPPORTED
from tests.docs.benchmark import LINES, told
from tests.docs.markdown import ROOT, Page, code, table
from tests.support.named_tests import is_there
from tests.support.server import Server

README = Page("README.md")
NOT_THERE = "What is not there yet"
SERVICE = CONTRACT.services_by_name["ResponsesService"]


def test_every_part_of_the_benchmark_has_its_lines() -> None:
    assert LINES.keys() == set(PARTS)


def test_every_measure_of_the_benchmark_has_its_figures() -> None:
    """A measure that is compared with nothing has a dash for that and for the ratio, one that aims at nothing for its
    target, and nothing else has one."""
    rows = table(README.sections["Performance"], "measure")
    assert [(row[0], row[-1]) for row in rows] == told()
    for measure, ours, against, ratio, _ in rows:
        theirs = re.sub(r"^.*: ", "", against)
        compared = [theirs, ratio] if (against, ratio) != ("-", "-") else []
        for cell in (ours, *compared):
            assert re.fullmatch(r"\d+(\.\d+)?", cell), f"{measure}: {cell!r} is no figure"


@pytest.mark.parametrize("row", table(README.sections["Features"], "feature"), ids=lambda row: row[0])
def test_a_feature_is_shown_by_a_test(row: list[str]) -> None:
    assert is_there(code(row[1]))


def test_every_setting_stands_in_readme_with_its_default() -> None:
    shown = [
        (code(name), default, meaning) for name, default, meaning in table(README.sections["Settings"], "variable")
    ]
    assert shown == [tuple(row) for row in settings_table()]


def test_every_reason_stands_in_readme_with_its_codes() -> None:
    shown = {
        code(reason): (int(status), code(wire) or None, code(grpc_code))
        for reason, status, wire, grpc_code, _ in table(README.sections["Errors"], "reason")
    }
    assert shown == {
        reason: (rule.status, rule.code, CODES[Reason(reason)].name if reason in SERVICE_RULES else "")
        for reason, rule in RULES.items()
    }


def test_the_types_of_errors_follow_the_rule_in_readme() -> None:
    for rule in RULES.values():
        expected = "server_error" if rule.status >= 500 else "invalid_request_error"
        assert rule.type == ("rate_limit_error" if rule.status == 429 else expected)


def test_every_family_and_type_of_gguf_files_stands_in_readme() -> None:
    section = README.sections["Model and provider"]
    shown = {code(name): models for name, models in table(section, "family of a GGUF file")}
    assert shown == {name: family.models for name, family in FAMILIES.items()}
    [types] = re.findall(r"may have the types (.*?)\.", section, re.DOTALL)
    assert re.findall(r"\b[A-Z]+\d+(?:_\w+)?\b", types) == list(SUPPORTED_TYPES)


def test_every_command_of_make_stands_in_contributing() -> None:
    rows = table(Page("CONTRIBUTING.md").sections["The commands"], "to")
    named = {target for _, typed in rows for target in re.findall(r"`(?:\w+=\S+ )?make ([\w-]+)", typed)}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    [phony] = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert named == set(phony.split()) - {"help"}


def test_every_unsupported_parameter_stands_in_readme() -> None:
    shown = [code(name) for name, _ in table(README.sections[NOT_THERE], "parameter")]
    thinking = {f"reasoning.{key}" for key in unsupported.PARTS["ReasoningConfig"]}
    of_http = {*unsupported.KEYS, *thinking} - hints()
    assert shown[: len(UNSUPPORTED)] == [row.name for row in UNSUPPORTED]
    assert set(shown[len(UNSUPPORTED) :]) == of_http
    assert len(shown) == len(set(shown))


def test_every_part_that_is_unsupported_stands_in_readme() -> None:
    [listed] = re.findall(r"\sSo\sare,\sby\s.*\sthe\skeys\s(.*?)\.\s", README.sections[NOT_THERE], re.DOTALL)
    parts = {name: keys for name, keys in unsupported.PARTS.items() if name not in ("ReasoningConfig", "InputFile")}
    assert set(re.findall(r"`(\w+)`", listed)) == {key for keys in parts.values() for key in keys}


def hints() -> set[str]:
    [listed] = re.findall(r"because\sthey\sare\shints:\s(.*?)\.\s", README.sections[NOT_THERE], re.DOTALL)
    return set(re.findall(r"`([\w.]+)`", listed))


def test_every_other_spelling_stands_in_readme() -> None:
    [line] = re.findall(r"Other spellings: (.*?)\.$", README.sections["Beyond OpenAI's API"], re.DOTALL | re.MULTILINE)
    targets = {alias.target[-1] for alias in create_request.ALIASES.values()}
    named = set(re.findall(r"`([a-z_]+)`", line))
    assert named - targets == set(create_request.ALIASES)


def test_every_method_of_the_contract_is_served(server: Server) -> None:
    with grpc.insecure_channel(server.grpc_target) as channel:
        assert [method.name for method in SERVICE.methods if is_missing(channel, method.name)] == []


def is_missing(channel: grpc.Channel, method: str) -> bool:
    """An empty request is either served, or refused for what it lacks, or the method is not there."""
    call: Any = channel.unary_stream(f"/{SERVICE.full_name}/{method}")
    try:
        list(call(b"", timeout=30))
    except grpc.RpcError as error:
        return bool(error.code() is grpc.StatusCode.UNIMPLEMENTED)
    return False
