"""How both processes log: one line an event, to stderr, readable on a terminal and JSON elsewhere.

It knows nothing of what is logged. Prompts and answers are not to be given to it.
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

# Libraries speak through the standard library's logging; below this they are chatter.
LIBRARY_LEVEL = logging.WARNING


def configure_logging(
    log_format: Literal["auto", "console", "json"] = "auto",
    level: Literal["debug", "info", "warning", "error"] = "info",
    stream: TextIO | None = None,
) -> None:
    """Sets up the logging of this process, once, at its start; `stream` is stderr unless given.

    `auto` is console where the stream is a terminal and json elsewhere.
    """
    stream = stream or sys.stderr
    console = log_format == "console" or (log_format == "auto" and stream.isatty())
    enrich, render = _enriching(console), _rendering(console, colors=stream.isatty())
    structlog.configure(
        processors=[*enrich, *render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # One write a line: lines of two threads cannot mix.
        logger_factory=structlog.WriteLoggerFactory(file=stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter_for_libraries(enrich, render))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(LIBRARY_LEVEL, logging.getLevelNamesMapping()[level.upper()]))


def get_logger(component: str) -> FilteringBoundLogger:
    """A logger whose lines say which part of the process wrote them."""
    return cast(FilteringBoundLogger, structlog.get_logger(component=component))


def request_context(request_id: str, **values: Any) -> AbstractContextManager[None]:
    """Within it, every line of this task and of tasks it starts carries the request's id and `values`."""
    return structlog.contextvars.bound_contextvars(request_id=request_id, **values)


def _enriching(console: bool) -> list[Processor]:
    form = "%H:%M:%S" if console else "iso"
    stamp = structlog.processors.TimeStamper(form, utc=not console)
    return [structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, stamp]


def _rendering(console: bool, colors: bool) -> list[Processor]:
    if not console:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str)]
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, pad_level=False, exception_formatter=plain)]


def _formatter_for_libraries(enrich: list[Processor], render: list[Processor]) -> logging.Formatter:
    foreign: list[Processor] = [*enrich, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=foreign,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
