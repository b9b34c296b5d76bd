"""Text and log-probabilities of an answer stay together, whatever is held back."""

from hypothesis import given
from hypothesis import strategies as st

from inference.sampling.logprobs import Logprob
from inference.transcript import Piece, Transcript

# Token 0 is special; the last four are halves of characters, or none.
TOKEN_BYTES = [b"", b"a", b"b", b"ab", b"b a", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x98\x80"]
STOPS = ["abba", "b b", "aaa", "é"]


def pieces(tokens: list[int], stops: list[str]) -> list[Piece]:
    """What is shown after each token, and at the end; each token's log-probability is its place."""
    transcript = Transcript(TOKEN_BYTES, stops)
    shown = []
    for place, token in enumerate(tokens):
        shown.append(transcript.push(token, Logprob(token, -float(place))))
        if transcript.stopped:
            break
    return [*shown, transcript.flush()]


def places(shown: list[Piece]) -> list[int]:
    return [-int(logprob.logprob) for _, logprobs in shown for logprob in logprobs]


def test_a_token_comes_with_the_first_character_of_its_text() -> None:
    shown = pieces([1, 2, 1], ["ba!"])
    assert [text for text, _ in shown] == ["a", "", "", "ba"]
    assert [len(logprobs) for _, logprobs in shown] == [1, 0, 0, 2]


def test_a_stop_text_takes_its_tokens_with_it() -> None:
    shown = pieces([1, 2, 2, 1, 2], ["bb"])
    assert ("".join(text for text, _ in shown), places(shown)) == ("a", [0])


def test_a_token_that_a_stop_text_cuts_in_two_stays() -> None:
    shown = pieces([1, 4, 1], [" a"])
    assert ("".join(text for text, _ in shown), places(shown)) == ("ab", [0, 1])


def test_all_tokens_of_a_character_come_with_it() -> None:
    shown = pieces([7, 8, 1], [])
    assert [(text, len(logprobs)) for text, logprobs in shown] == [("", 0), ("\N{GRINNING FACE}", 2), ("a", 1), ("", 0)]


def test_a_token_that_breaks_a_character_off_is_not_shown_with_it() -> None:
    shown = pieces([5, 5, 6, 7, 5, 1], [])
    assert [(text, len(logprobs)) for text, logprobs in shown] == [
        ("", 0),
        ("\N{REPLACEMENT CHARACTER}", 1),
        ("é", 2),
        ("", 0),
        ("\N{REPLACEMENT CHARACTER}", 1),
        ("\N{REPLACEMENT CHARACTER}a", 2),
        ("", 0),
    ]


def test_a_token_knows_where_its_text_begins() -> None:
    shown = pieces([3, 0, 7, 8, 1, 5, 2], [])
    assert [logprob.start for _, logprobs in shown for logprob in logprobs] == [0, 2, 2, 3, 4, 5]


def test_tokens_without_text_have_none() -> None:
    shown = pieces([0, 1, 0, 0], [])
    assert places(shown) == [1]


@given(
    tokens=st.lists(st.integers(0, len(TOKEN_BYTES) - 1), max_size=30),
    stops=st.lists(st.sampled_from(STOPS), max_size=3),
)
def test_shown_text_and_shown_tokens_are_the_same(tokens: list[int], stops: list[str]) -> None:
    shown = pieces(tokens, stops)
    text = "".join(piece for piece, _ in shown)
    assert not any(stop in text for stop in stops)
    with_text = [place for place, token in enumerate(tokens) if TOKEN_BYTES[token]]
    kept = places(shown)
    assert kept == with_text[: len(kept)], "in order, from the first on"
    spelled = b"".join(TOKEN_BYTES[tokens[place]] for place in kept).decode("utf-8", "replace")
    assert spelled.startswith(text), "no shown character is without its tokens"
    without_last = b"".join(TOKEN_BYTES[tokens[place]] for place in kept[:-1]).decode("utf-8", "replace")
    assert len(without_last) <= len(text), "no token came before its text"
    starts = [logprob.start for _, logprobs in shown for logprob in logprobs]
    assert starts == sorted(starts)
    assert all(start < len(text) for start in starts), "each begins within the text"
