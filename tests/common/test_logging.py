"""What a log line looks like. Each test runs in a process of its own, since a process sets its logging up once."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

SET_UP = """
import io, logging
from common.logging import configure_logging, get_logger, request_context
class Terminal(io.StringIO):
    def isatty(self): return True
"""


def lines_of(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SET_UP + program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


def objects_of(program: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines_of(program)]


def test_lines_are_json_where_nobody_watches() -> None:
    (line,) = objects_of("configure_logging(); get_logger('server').info('listening', port=8080)")
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "listening", "port": 8080, "level": "info", "component": "server"}


def test_a_terminal_gets_one_readable_line() -> None:
    (line,) = lines_of("""
import sys
terminal = Terminal()
configure_logging(stream=terminal)
get_logger('server').info('listening', port=8080)
sys.stderr.write(terminal.getvalue())
""")
    assert "\x1b[" in line
    assert "listening" in line
    assert "8080" in line


def test_the_console_format_has_no_colours_in_a_file() -> None:
    (line,) = lines_of("configure_logging('console'); get_logger('server').warning('slow', seconds=2)")
    assert line[2] == line[5] == ":"
    assert line[8:] == " [warning] slow component=server seconds=2"


def test_lines_of_a_request_carry_its_id_and_later_ones_do_not() -> None:
    inside, after = objects_of("""
configure_logging()
log = get_logger('server')
with request_context('req_1', owner='alice'):
    log.info('inside')
log.info('after')
""")
    assert (inside["request_id"], inside["owner"]) == ("req_1", "alice")
    assert "request_id" not in after


def test_requests_that_overlap_keep_their_own_ids() -> None:
    lines = objects_of("""
import asyncio
configure_logging()
async def request(name, mine, other):
    with request_context(name):
        mine.set()
        await other.wait()
        get_logger('server').info('done', task=name)
async def main():
    a, b = asyncio.Event(), asyncio.Event()
    await asyncio.gather(request('req_a', a, b), request('req_b', b, a))
asyncio.run(main())
""")
    assert {(line["request_id"], line["task"]) for line in lines} == {("req_a", "req_a"), ("req_b", "req_b")}


def test_lines_below_the_level_are_dropped() -> None:
    lines = objects_of("""
configure_logging(level='warning')
get_logger('server').info('dropped')
get_logger('server').warning('kept')
""")
    assert [line["event"] for line in lines] == ["kept"]


def test_an_exception_stays_within_its_line() -> None:
    (line,) = objects_of("""
configure_logging()
try:
    1 / 0
except ZeroDivisionError:
    get_logger('server').exception('step failed')
""")
    assert line["event"] == "step failed"
    assert line["exception"].endswith("ZeroDivisionError: division by zero")


def test_warnings_of_libraries_have_the_same_form_and_their_chatter_is_dropped() -> None:
    (line,) = objects_of("""
configure_logging()
logging.getLogger('aiohttp.access').info('chatter')
with request_context('req_1'):
    logging.getLogger('aiohttp.server').warning('odd %s', 'thing')
""")
    assert line.pop("timestamp")
    assert line == {"event": "odd thing", "level": "warning", "logger": "aiohttp.server", "request_id": "req_1"}
