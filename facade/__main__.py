"""`python -m facade`: serves HTTP until a stop signal, for a service that may start later, stop and come back."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from common.logging import configure_logging
from common.output import protect_output
from common.settings import Settings, SettingsError, load_settings
from facade.server import Facade, ListenError

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Returns the exit status: 0 after a clean stop, 1 if the port cannot be had, 2 for wrong settings."""
    try:
        settings = load_settings(argv, environ)
    except SettingsError as error:
        return _refuse(str(error), 2)
    configure_logging(settings.log_format, settings.log_level)
    try:
        return asyncio.run(_serve(settings))
    except ListenError as error:
        return _refuse(str(error), 1)


async def _serve(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, _on_signal, loop, stop)
    facade = Facade(settings)
    await facade.start()
    _say(f"HTTP: listening on {settings.http_url}; waiting for the service at {settings.grpc_target}.")
    ready = asyncio.create_task(_say_when_ready(facade, settings))
    await stop.wait()
    ready.cancel()
    if not await facade.stop():
        _say("HTTP: requests still running after the grace were cut off.")
    return 0


async def _say_when_ready(facade: Facade, settings: Settings) -> None:
    await facade.until_ready()
    _say(f"ready: POST {settings.http_url}/v1/responses")


def _on_signal(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # A second signal is not for us: it ends the process at once.
    for number in STOP_SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    stop.set()


def _refuse(sentence: str, status: int) -> int:
    print(f"answerd: {sentence}", file=sys.stderr)
    return status


def _say(sentence: str) -> None:
    print(f"answerd: {sentence}")


if __name__ == "__main__":
    protect_output()
    sys.exit(main(sys.argv[1:], os.environ))
