"""What `python -m launcher` does: checks settings and ports, then runs the service and the facade until stopped."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from common.settings import Settings, SettingsError, load_settings
from launcher.ports import why_not
from launcher.supervisor import Supervisor

# Beyond the grace that running responses get: the end of the last ones is stored, and the engine and store are closed.
CLOSING_SECONDS = 5.0
# Weights on huge pages, as far as ONNX Runtime lays them out anew: a decode step streams all of them, and looking up
# 4 KiB pages takes a part of it (figures: bench/LOG.md). Read by glibc as a process begins (manual: "Memory Allocation
# Tunables"); others ignore it.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
COMMANDS = {name: (sys.executable, "-m", name) for name in ("service", "facade")}


def main(argv: Sequence[str], environ: Mapping[str, str], commands: Mapping[str, Sequence[str]] = COMMANDS) -> int:
    """Returns the exit status: 0 after a clean stop, 2 for wrong settings or taken ports, else a failed child's."""
    try:
        settings = load_settings(argv, environ)
    except SettingsError as error:
        return _refuse(str(error))
    for setting, port in (("ANSWERD_HTTP_PORT", settings.http_port), ("ANSWERD_GRPC_PORT", settings.grpc_port)):
        reason = why_not(settings.host, port)
        if reason:
            return _refuse(f"{setting}: {reason}.")
    supervisor = Supervisor(
        commands, environ=child_environ(settings, environ), patience=settings.grace_seconds + CLOSING_SECONDS
    )
    return supervisor.run()


def child_environ(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with every setting that was given, by flag or variable, as the variable that both children read."""
    given = settings.model_dump(include=settings.model_fields_set, exclude_none=True)
    variables = {f"ANSWERD_{name.upper()}": _text(value) for name, value in given.items()}
    return {**HUGE_PAGES, **environ, **variables}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)


def _refuse(sentence: str) -> int:
    print(f"answerd: {sentence}", file=sys.stderr)
    return 2
