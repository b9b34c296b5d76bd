"""Tells whether an address can be listened on, before anything slow begins.

The check cannot reserve the port; the processes still treat a failed bind as fatal.
"""

from __future__ import annotations

import errno
import socket


def why_not(host: str, port: int) -> str | None:
    """None if `port` on every address of `host` is free, else the end of a sentence. Port 0 is always free."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return f"the host {host} has no address"
    failures = [_try_to_bind(family, address) for family, _, _, _, address in addresses]
    # A name may have addresses of a family that this machine does not offer; one that it does offer is enough.
    absent = [failure for failure in failures if failure == errno.EADDRNOTAVAIL]
    for failure in failures:
        if failure == errno.EADDRINUSE:
            return f"port {port} on {host} is already in use"
        if failure == errno.EACCES:
            return f"port {port} on {host} is not allowed to this user"
    return f"{host} is not an address of this machine" if len(absent) == len(failures) else None


def _try_to_bind(family: int, address: tuple[object, ...]) -> int:
    """The errno of a bind as a server would do it, 0 if it succeeds."""
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Without it a port whose last connections are still closing would count as taken; a listener still does.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
            return 0
    except OSError as error:
        return error.errno or errno.EADDRNOTAVAIL
