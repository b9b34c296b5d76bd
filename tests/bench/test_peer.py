"""A peer in a process of its own: what it answers, and how it may fail."""

import sys
from collections.abc import AsyncIterator

import pytest

from bench.peer import Peer, PeerError
from bench.product import ROOT
from bench.prompts import Prompt
from bench.protocol import Stream

COMMAND = [sys.executable, "-m", "tests.bench.fake_peer"]
ENVIRON = {"PYTHONPATH": str(ROOT)}


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with await Peer.start("fake", COMMAND, ROOT, ENVIRON) as peer:
        yield peer


async def test_a_peer_says_what_it_is_and_answers_every_prompt(peer: Peer) -> None:
    """What it prints beside the protocol does not disturb it."""
    assert peer.version == "fake 1.0"
    prompts = [Prompt("", "", (1, 2, 3)), Prompt("", "", (4,))]
    assert await peer.generate(prompts, 7) == [Stream(0.5, 1.5, 2.0, 7, 3), Stream(0.5, 1.5, 2.0, 7, 1)]


async def test_a_command_that_fails_is_an_error_and_the_peer_goes_on(peer: Peer) -> None:
    with pytest.raises(PeerError, match="fake: no command is called 'sing'"):
        await peer.ask("sing")
    with pytest.raises(PeerError, match="fake: TypeError"):
        await peer.ask("generate", prompts=[])
    assert await peer.generate([], 1) == []


async def test_a_peer_that_ends_is_an_error_with_its_status(peer: Peer) -> None:
    with pytest.raises(PeerError, match="fake ended with status 3"):
        await peer.ask("crash")
    with pytest.raises(PeerError, match="fake ended with status 3"):
        await peer.ask("generate")


async def test_a_peer_that_does_not_start_is_an_error_with_its_status() -> None:
    with pytest.raises(PeerError, match="fake ended with status 4"):
        await Peer.start("fake", [*COMMAND, "broken"], ROOT, ENVIRON)
