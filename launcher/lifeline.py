"""Ties a child process to the launcher's life: a launcher that is killed outright leaves no process behind.

Linux does it with one flag of the child. Elsewhere there is no such flag and a killed launcher's children stay.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_this_process() -> Callable[[], None] | None:
    """What a child of this process has to call between fork and exec, or None where the system offers nothing."""
    if sys.platform != "linux":
        return None
    # Everything that may allocate or lock happens here, before the fork.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def call_in_child() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the launcher died before the flag was set
            os.kill(os.getpid(), signal.SIGKILL)

    return call_in_child
