"""Which ports count as taken, and how that is said."""

import socket
from collections.abc import Callable, Iterator

import pytest

from launcher.ports import why_not

# Reserved for documentation, so no machine has it.
NOBODYS_ADDRESS = "192.0.2.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server


def test_a_free_port_is_free(free_port: Callable[[], int]) -> None:
    assert why_not("127.0.0.1", free_port()) is None


def test_a_taken_port_is_named(listener: socket.socket) -> None:
    listener.listen()
    port = listener.getsockname()[1]
    assert why_not("127.0.0.1", port) == f"port {port} on 127.0.0.1 is already in use"


def test_a_port_is_taken_for_every_spelling_of_the_host(listener: socket.socket) -> None:
    listener.listen()
    port = listener.getsockname()[1]
    for host in ("localhost", "0.0.0.0"):
        assert why_not(host, port) == f"port {port} on {host} is already in use"


def test_a_port_that_its_holder_would_share_is_taken() -> None:
    """gRPC servers let others bind the same port, so a second one would not notice by itself."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert why_not("127.0.0.1", server.getsockname()[1]) is not None


def test_a_port_whose_last_connection_is_still_closing_is_free(listener: socket.socket) -> None:
    """Otherwise a restart would be refused for a minute."""
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.listen()
    port = listener.getsockname()[1]
    with socket.create_connection(("127.0.0.1", port)) as client:
        accepted, _ = listener.accept()
        accepted.close()  # the server's side closes first and keeps the closing state
        client.recv(1)
    listener.close()
    assert why_not("127.0.0.1", port) is None


def test_an_address_of_another_machine_is_refused() -> None:
    assert why_not(NOBODYS_ADDRESS, 8080) == f"{NOBODYS_ADDRESS} is not an address of this machine"


def test_a_host_without_an_address_is_refused() -> None:
    assert why_not("no-such-host.invalid", 8080) == "the host no-such-host.invalid has no address"
