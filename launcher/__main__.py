"""`python -m launcher`: the command, within what keeps Ctrl-C from showing a traceback at any moment."""

import os
import sys


def run() -> int:
    """The command's exit status; 130, as shells have it, if it was interrupted before it listens to signals itself."""
    try:
        # Importing the settings takes most of the time until then.
        from common.output import protect_output
        from launcher.command import main

        protect_output()
        return main(sys.argv[1:], os.environ)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(run())
