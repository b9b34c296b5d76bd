"""`python3 -m launcher.install [--dev] [--cuda]`: brings the virtual environment in line with the lock files.

Runs under whatever Python the user has: it must say what is wrong before it imports anything an old one cannot read.
"""

import argparse
import os
import signal
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def refusal(version: "tuple[int, ...]") -> "str | None":
    """One sentence if this Python is too old, else None."""
    if version >= OLDEST:
        return None
    return (
        f"answerd needs Python {OLDEST[0]}.{OLDEST[1]} or newer and this is {version[0]}.{version[1]}: "
        "name a newer one, as in `make run PYTHON=python3.12`."
    )


def main(argv: "list[str]") -> int:
    """Returns the exit status: 0 when the environment is ready."""
    too_old = refusal(tuple(sys.version_info[:2]))
    if too_old:
        return _fail(too_old, 1)
    try:
        return install(argv)
    except KeyboardInterrupt:
        return _fail("The installation was interrupted; the next run starts it afresh.", 130)


def install(argv: "list[str]") -> int:
    """What `main` does on a Python that is new enough."""
    from common.output import protect_output
    from launcher.environment import Environment
    from launcher.pip_install import InstallError

    parser = argparse.ArgumentParser(prog="launcher.install", description="Makes .venv and installs what is pinned.")
    parser.add_argument("--dev", action="store_true", help="also what tests and checks need")
    parser.add_argument("--cuda", action="store_true", help="also the CUDA and cuDNN libraries")
    parser.add_argument("--root", default=ROOT, help="the folder of the lock files (default: this checkout)")
    chosen = parser.parse_args(argv)
    protect_output()
    # A terminated install unwinds like an interrupted one, so that pip ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        Environment(chosen.root).ensure(["runtime", *(name for name in ("dev", "cuda") if getattr(chosen, name))])
    except InstallError as error:
        return _fail(str(error), 1)
    except OSError as error:
        return _fail(f"The environment cannot be written: {error.strerror}: {error.filename or chosen.root}.", 1)
    return 0


def _fail(sentence: str, status: int) -> int:
    sys.stderr.write(sentence + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
