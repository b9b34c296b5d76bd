"""The smaller parts: flags, rows, machine facts, the checks on conversations and on streams that run together."""

import mmap
from pathlib import Path

import numpy as np
import psutil
import pytest

from bench import clients, conversation, memory, parts, sampling_cost
from bench.accuracy import accuracy_of
from bench.clients import Served
from bench.engines import ENGINE, LLAMA
from bench.loading import Loading
from bench.machine import ProcessorTime, commit, cpu_model, held_for
from bench.options import GROWTH_REQUESTS, PARTS, REPEAT, parse
from bench.product import plain_environ
from bench.protocol import Stream
from bench.results import Samples
from bench.rows import follow_up_row, growth_row, loading_rows, peak_row, rate_rows, sampling_row, server_rows
from bench.sse_client import Answer
from bench.workloads import WIDE, WORKLOADS, WorkloadError


def test_what_others_took_from_the_processors_is_told_of_an_interval() -> None:
    lost = ProcessorTime(others=7.5, stolen=1.0) - ProcessorTime(others=3.0, stolen=0.25)
    assert lost == ProcessorTime(others=4.5, stolen=0.75)
    before = ProcessorTime.now()
    assert (ProcessorTime.now() - before).stolen >= 0


@pytest.mark.skipif(not hasattr(psutil.Process, "memory_maps"), reason="the system does not tell pages apart")
def test_pages_of_a_models_files_count_as_its_memory_and_those_of_others_do_not(tmp_path: Path) -> None:
    model, other, size = tmp_path / "model", tmp_path / "model.other", 64 * 2**20
    for folder in (model, other):
        folder.mkdir()
        (folder / "data").write_bytes(bytes(size))
    before = held_for(model)
    for folder, more in ((other, 0), (model, size)):
        with (folder / "data").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
            assert pages.rfind(b"x") == -1
            assert held_for(model) - before == pytest.approx(more, abs=size / 4)


def test_every_part_is_measured_fully_unless_flags_say_otherwise() -> None:
    options = parse([])
    assert (options.only, options.repeat, options.growth_requests) == (frozenset(PARTS), REPEAT, GROWTH_REQUESTS)
    quick = parse(["--quick", "--only", "prompt,memory"])
    assert (quick.only, quick.repeat, quick.growth_requests) == (frozenset({"prompt", "memory"}), 1, 100)
    assert parse(["--quick", "--repeat", "3"]).repeat == 3


def test_each_part_that_can_be_asked_for_is_one_that_can_be_run() -> None:
    assert {*parts.PARTS, *(workload.key for workload in WORKLOADS)} == set(PARTS)


@pytest.mark.parametrize("argv", [["--only", "prompt,weather"], ["--repeat", "0"], ["--repeat", "many"], ["--loud"]])
def test_wrong_flags_are_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(argv)
    assert argv[0] in capsys.readouterr().err


def test_each_workload_is_held_to_the_targets() -> None:
    rates = {workload.key: {LLAMA: [100.0], ENGINE: [200.0], "product": [180.0]} for workload in WORKLOADS}
    rows = rate_rows(WORKLOADS, rates, "product")
    judged = [(row.measure, row.against and row.against.name, str(row.target), row.met) for row in rows if row.target]
    assert judged == [
        ("prompt of 512 tokens", LLAMA, "≥ 1.8", True),
        ("prompt of 512 tokens, engine alone", LLAMA, "≥ 2", True),
        ("one stream of 128 tokens", LLAMA, "≥ 1", True),
        ("one stream of 128 tokens, engine alone", LLAMA, "≥ 1.1", True),
        ("16 streams together", LLAMA, "≥ 1.3", True),
        ("16 streams together", ENGINE, "≥ 0.92", False),
        ("16 streams together, engine alone", LLAMA, "≥ 1.6", True),
    ]
    assert len(rows) == 9


def test_a_workload_of_the_engines_alone_is_one_line() -> None:
    [row] = rate_rows([WIDE], {WIDE.key: {LLAMA: [100.0], ENGINE: [159.0]}}, "product")
    assert (row.measure, str(row.target), row.met) == ("32 streams together, engine alone", "≥ 1.6", False)


def test_a_server_is_judged_by_its_rate_and_by_how_long_first_tokens_take() -> None:
    served = {"ours": Served([120.0], [0.1, 0.2, 0.9]), "theirs": Served([100.0], [0.2, 0.3, 0.8])}
    rows = server_rows({1: served}, "ours", "theirs")
    assert [(row.measure, row.met) for row in rows] == [
        ("1 client, together", True),
        ("1 client, first token, p50", True),
        ("1 client, first token, p99", False),
    ]


def test_answers_of_a_server_that_end_early_are_not_timed() -> None:
    clients.check("a server", [Stream(1, 2, 2, clients.OUTPUT_LENGTH)])
    with pytest.raises(WorkloadError, match="a server: 100 tokens, not 192"):
        clients.check("a server", [Stream(1, 2, 2, 50), Stream(1, 2, 2, 50)])


def test_sizes_and_shares_are_held_to_the_targets() -> None:
    cold = Samples("cold", [2.0], False)
    assert follow_up_row(Samples("follow-up", [0.3], False), cold).met is True
    assert follow_up_row(Samples("follow-up", [0.31], False), cold).met is False
    assert [peak_row(size).met for size in (1.3e9, 1.301e9)] == [True, False]
    assert sampling_row(Samples("all", [91.9], True), Samples("greedy", [100.0], True)).met is False
    loading = Loading(seconds=[0.9], bytes=[209e6], weights=[151e6], starts=[5.1])
    assert [row.met for row in loading_rows(loading, 100_000_000)] == [True, False, None, False]
    assert [growth_row(share, 1000).met for share in (0.02, 0.021)] == [True, False]


def test_what_sampling_costs_is_timed_without_prompts() -> None:
    early, late = Stream(first=1.0, last=9.0, end=9.0, tokens=11), Stream(first=5.0, last=10.0, end=10.0, tokens=11)
    assert sampling_cost.rate([early, late]) == 2 * 10 / 5


def test_users_settings_do_not_reach_what_is_measured() -> None:
    environ = plain_environ({"ANSWERD_SLOTS": "1", "PATH": "/bin"})
    assert "ANSWERD_SLOTS" not in environ
    assert environ["PATH"] == "/bin"


def test_the_cpu_is_named_as_the_system_names_it(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Example CPU @ 2.00GHz\n")
    assert cpu_model(tmp_path / "cpuinfo") == "Example CPU @ 2.00GHz"
    assert cpu_model(tmp_path / "missing") != ""


def test_outside_of_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) is None


def turn(input_tokens: int, cached: int = 0) -> Answer:
    return Answer(Stream(0.1, 1, 1, 32, cached), {"usage": {"input_tokens": input_tokens}})


def test_a_follow_up_turn_must_continue_a_conversation_that_was_computed_whole() -> None:
    conversation.check(turn(1000), turn(1052))
    for opened, followed in ((turn(999), turn(1052)), (turn(1000), turn(60)), (turn(1000, cached=900), turn(1052))):
        with pytest.raises(WorkloadError):
            conversation.check(opened, followed)


def test_memory_counts_only_while_all_streams_run() -> None:
    full = memory.OUTPUT_LENGTH
    memory.check([Stream(1, 10, 10, full), Stream(9, 20, 20, full)])
    with pytest.raises(WorkloadError, match="ended before the last one began"):
        memory.check([Stream(1, 10, 10, full), Stream(10, 20, 20, full)])
    with pytest.raises(WorkloadError, match="before it had 1,000 tokens"):
        memory.check([Stream(1, 10, 10, full - 1)])


def test_agreement_counts_the_tokens_with_the_same_likeliest_successor() -> None:
    """The last token predicts nothing of the text."""
    reference = np.eye(5, dtype=np.float32)
    other = reference.copy()
    other[0] = np.roll(other[0], 1)
    accuracy = accuracy_of("graph", reference, other, [0, 1, 2, 3, 4])
    assert accuracy.top1 == 0.75
    assert accuracy.kl > 0
    assert accuracy_of("graph", reference, reference, [0, 1, 2, 3, 4]).kl == 0
