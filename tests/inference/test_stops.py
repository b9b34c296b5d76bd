"""Stop texts end the answer where they would in the whole text, and nothing of them is ever shown."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from inference.stops import StopMatcher

letters = st.text("ab", max_size=30)
stop_texts = st.lists(st.text("ab", min_size=1, max_size=5), max_size=16)


def naive(text: str, stops: list[str]) -> str | None:
    """The text before the stop that is complete first, the longest of those; None without one."""
    for end in range(len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            return text[: end - max(map(len, found))]
    return None


@given(letters, stop_texts, st.lists(st.integers(0, 30)))
def test_the_stream_says_what_the_whole_text_says(text: str, stops: list[str], cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    matcher = StopMatcher(stops)
    passed = "".join(matcher.push(text[a:b]) for a, b in itertools.pairwise(bounds))
    expected = naive(text, stops)
    assert matcher.matched == (expected is not None)
    assert passed + matcher.flush() == (text if expected is None else expected)


@given(letters, stop_texts)
def test_only_what_may_become_a_stop_text_is_held_back(text: str, stops: list[str]) -> None:
    matcher = StopMatcher(stops)
    passed = ""
    for end, letter in enumerate(text, 1):
        passed += matcher.push(letter)
        if matcher.matched:
            break
        held = text[:end].removeprefix(passed)
        assert passed + held == text[:end]
        longest = max((n for n in range(end + 1) if any(s.startswith(text[end - n : end]) for s in stops)), default=0)
        assert len(held) == longest


def test_a_stop_text_is_cut_off_with_what_follows() -> None:
    matcher = StopMatcher(["\n\n", "END"])
    assert [matcher.push(piece) for piece in ("The E", "NT E", "N", "D. More", "!")] == ["The ", "ENT ", "", "", ""]
    assert matcher.matched
    assert matcher.flush() == ""


def test_the_stop_text_that_is_complete_first_wins() -> None:
    """A longer one that began earlier is not waited for."""
    matcher = StopMatcher(["abcd", "bc"])
    assert matcher.push("xabcd") == "xa"


def test_without_stop_texts_everything_passes() -> None:
    matcher = StopMatcher(["", ""])
    assert matcher.push("abc") == "abc"
    assert not matcher.matched
