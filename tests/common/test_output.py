"""What cannot be written is lost, and nothing else. Each test runs in a process of its own, whose output is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.output import lossy

SET_UP = """
import logging, sys
from common.logging import configure_logging, get_logger
from common.output import protect_output
protect_output()
"""
WITNESS = "\nopen(sys.argv[1], 'w').write('reached')\n"


@pytest.fixture(params=["full disk", "pipe without a reader"])
def unwritable(request: pytest.FixtureRequest) -> Iterator[int]:
    """A descriptor that takes nothing."""
    if request.param == "full disk":
        descriptor = os.open("/dev/full", os.O_WRONLY)
    else:
        reader, descriptor = os.pipe()
        os.close(reader)
    yield descriptor
    os.close(descriptor)


def run(program: str, *words: str, environ: dict[str, str] | None = None, output: int = subprocess.PIPE) -> str:
    command = [sys.executable, "-c", SET_UP + program, *words]
    done = subprocess.run(
        command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environ or {})}, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout or ""


@pytest.mark.parametrize(
    "speak",
    [
        "print('listening')",
        "print('stopping', file=sys.stderr)",
        "sys.stdout.write('x' * 100_000 + chr(10)); sys.stdout.flush()",
        "configure_logging('json'); get_logger('service').info('call', code='OK')",
        "configure_logging('console'); get_logger('facade').warning('request', status=500)",
        "configure_logging(); logging.getLogger('asyncio').error('a library complains')",
    ],
)
def test_a_process_goes_on_and_ends_well_although_its_words_are_lost(
    unwritable: int, tmp_path: Path, speak: str
) -> None:
    run(speak + WITNESS, str(tmp_path / "witness"), output=unwritable)
    assert (tmp_path / "witness").read_text(encoding="utf-8") == "reached"


def test_a_disk_that_has_room_again_gets_whole_lines_again(unwritable: int, tmp_path: Path) -> None:
    program = f"""
import os
print('lost')
os.dup2(os.open({str(tmp_path / "output")!r}, os.O_WRONLY | os.O_CREAT), 1)
print('kept')
"""
    run(program, output=unwritable)
    assert (tmp_path / "output").read_text(encoding="utf-8") == "kept\n"


def test_what_can_be_written_arrives_whole_and_in_order() -> None:
    assert run("print('one'); print('two', file=sys.stderr); print('é' * 100_000)") == f"one\ntwo\n{'é' * 100_000}\n"


def test_a_character_that_the_encoding_lacks_is_escaped() -> None:
    assert run("print('/data/é/' + chr(0xdc80))", environ={"PYTHONIOENCODING": "ascii"}) == "/data/\\xe9/\\udc80\n"


def test_a_file_does_not_get_the_number_of_an_output_that_is_closed(tmp_path: Path) -> None:
    """gRPC and ONNX Runtime write to descriptor 2, whatever that is."""
    program = SET_UP + "file = open(sys.argv[1], 'w'); print('words'); print(file.fileno(), file=file)"
    command = ["sh", "-c", 'exec "$0" "$@" >&- 2>&-', sys.executable, "-c", program, str(tmp_path / "file")]
    assert subprocess.run(command, check=False).returncode == 0
    assert int((tmp_path / "file").read_text(encoding="utf-8")) > 2


def test_a_stream_tells_a_terminal_from_a_file() -> None:
    terminal, other_end = os.openpty()
    assert lossy(other_end).isatty()
    os.close(other_end)
    os.close(terminal)
    reader, writer = os.pipe()
    assert not lossy(writer).isatty()
    os.close(reader)
    os.close(writer)
