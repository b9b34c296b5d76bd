"""Text grows by whole characters, and the pieces are the whole."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from inference.detokenizer import Detokenizer

pieces_of_text = (
    st.text()
    .map(str.encode)
    .flatmap(lambda data: st.lists(st.integers(0, len(data)), max_size=8).map(lambda cuts: split(data, sorted(cuts))))
)
any_pieces = st.lists(st.binary(max_size=6), max_size=12)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    bounds = [0, *cuts, len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


@given(st.one_of(pieces_of_text, any_pieces))
def test_the_pieces_together_are_the_whole_text(token_bytes: list[bytes]) -> None:
    detokenizer = Detokenizer(token_bytes)
    text = "".join(detokenizer.push(token) for token in range(len(token_bytes)))
    assert text + detokenizer.flush() == b"".join(token_bytes).decode("utf-8", "replace")


@given(pieces_of_text)
def test_well_formed_text_never_shows_half_a_character(token_bytes: list[bytes]) -> None:
    """What was shown after each token is a beginning of the text, as long as whole characters allow."""
    detokenizer = Detokenizer(token_bytes)
    shown = ""
    for token in range(len(token_bytes)):
        shown += detokenizer.push(token)
        assert shown == b"".join(token_bytes[: token + 1]).decode("utf-8", "ignore")


def test_an_unfinished_character_ends_as_a_replacement_character() -> None:
    detokenizer = Detokenizer(["€".encode()[:2]])
    assert detokenizer.push(0) == ""
    assert detokenizer.flush() == "\ufffd"


def test_special_tokens_add_no_text() -> None:
    detokenizer = Detokenizer([b"", b"\xe2\x82", b"\xac"])
    assert [detokenizer.push(token) for token in (0, 1, 0, 2)] == ["", "", "", "€"]
