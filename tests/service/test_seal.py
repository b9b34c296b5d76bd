"""What is sealed opens for its owner and this server alone, and unaltered."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.seal import BrokenSeal, Seal

SEAL = Seal(b"s" * 32)


@given(st.text())
def test_what_was_sealed_opens_as_it_was(text: str) -> None:
    assert SEAL.open("ann", SEAL.close("ann", text)) == text


def test_nothing_of_the_text_can_be_seen_and_no_two_seals_are_equal() -> None:
    text = "the same secret sentence, " * 9
    first, second = (base64.b64decode(SEAL.close("ann", text)) for _ in range(2))
    assert first != second
    assert b"secret" not in first
    assert len(first) == len(text) + 1 + 16 + 32
    # A key stream that were used twice would show what the texts differ in.
    assert bytes(a ^ b for a, b in zip(first[17:-32], second[17:-32], strict=True)) != bytes(len(text))


@given(st.data())
def test_whatever_is_altered_does_not_open(data: st.DataObject) -> None:
    blob = bytearray(base64.b64decode(SEAL.close("ann", "remember this")))
    place = data.draw(st.integers(0, len(blob) - 1))
    blob[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(BrokenSeal):
        SEAL.open("ann", base64.b64encode(blob).decode())


@given(st.integers(0, 61))
def test_what_is_cut_off_does_not_open(length: int) -> None:
    blob = base64.b64decode(SEAL.close("ann", "remember this"))
    assert len(blob) == 62
    with pytest.raises(BrokenSeal):
        SEAL.open("ann", base64.b64encode(blob[:length]).decode())


@pytest.mark.parametrize("sealed", ["", "AA==", "no base64!", "ÄÖÜ", "A" * 1000])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(BrokenSeal):
        SEAL.open("ann", sealed)


def test_it_opens_for_nobody_else() -> None:
    sealed = SEAL.close("ann", "remember this")
    for other, owner in ((SEAL, "bob"), (SEAL, ""), (Seal(b"t" * 32), "ann")):
        with pytest.raises(BrokenSeal):
            other.open(owner, sealed)
