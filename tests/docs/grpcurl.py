"""`python -m tests.docs.grpcurl ...`: takes what the documentation gives to grpcurl and lets `buf curl` do it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

BUF = str(Path(sys.executable).with_name("buf"))


def buf_command(argv: Sequence[str]) -> list[str]:
    """The command of buf for arguments of grpcurl. Raises SystemExit for any that the two do not share."""
    parser = argparse.ArgumentParser(prog="grpcurl", allow_abbrev=False)
    # Without it grpcurl would want TLS, which the server does not have.
    parser.add_argument("-plaintext", action="store_true", required=True)
    parser.add_argument("-d", dest="data")
    parser.add_argument("-H", dest="headers", action="append", default=[])
    parser.add_argument("address")
    parser.add_argument("words", nargs="+")
    given = parser.parse_args(argv)
    base = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
    for header in given.headers:
        # Reflection is a call like any other and needs the key as well.
        base += ["--header", header, "--reflect-header", header]
    url = f"http://{given.address}"
    match given.words:
        case ["list"]:
            return [*base, "--list-services", url]
        case ["list", _]:
            # buf lists the methods of all services.
            return [*base, "--list-methods", url]
        case [method]:
            data = [] if given.data is None else ["--data", given.data]
            return [*base, *data, f"{url}/{method}"]
        case words:
            parser.error(f"unexpected: {' '.join(words)}")


if __name__ == "__main__":
    command = buf_command(sys.argv[1:])
    os.execv(command[0], command)  # noqa: S606 # no shell is what the lint rules ask for elsewhere
