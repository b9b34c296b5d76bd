"""Bodies: what is JSON here, and what only looks like it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facade.body import MAX_DEPTH, parse_object
from facade.errors import NOT_JSON, ApiError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)

REFUSED = {
    "nothing": b"",
    "no JSON": b"{",
    "no object but a string": b'"hi"',
    "no object but an array": b"[]",
    "no object but null": b"null",
    "two objects": b"{}{}",
    "a comment": b"{} // hi",
    "a trailing comma": b'{"a": 1,}',
    "a single quote": b"{'a': 1}",
    "invalid UTF-8": b'{"a": "\xff"}',
    "half a character": b'{"a": "\xe2\x82"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "half of a surrogate pair": b'{"a": "\\ud800"}',
    "half of a surrogate pair as a key": b'{"\\uDFFF": 1}',
    "a surrogate pair the wrong way round": b'{"a": "\\udc00\\ud800"}',
    "surrogates in UTF-8": b'{"a": "\xed\xa0\x80"}',
    "not a number": b'{"a": NaN}',
    "infinity": b'{"a": -Infinity}',
    "a number beyond all doubles": b'{"a": 1e999}',
    "an integer of absurd length": b'{"a": ' + b"9" * 5000 + b"}",
    "a control character in a string": b'{"a": "\n"}',
    "absurd nesting": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "nesting beyond the limit": b'{"a": ' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_json_object_is_refused_with_one_sentence(name: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_object(REFUSED[name])
    assert (caught.value.status, caught.value.message, caught.value.rule.code) == (400, NOT_JSON, None)


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "a": 2}]}'])
def test_a_key_twice_in_one_object_is_refused_by_its_name(body: bytes) -> None:
    with pytest.raises(ApiError, match="has the key 'a' twice") as caught:
        parse_object(body)
    assert caught.value.status == 400


def test_nesting_up_to_the_limit_is_taken() -> None:
    assert parse_object(b'{"a": ' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}")


def test_many_objects_beside_each_other_are_not_nested() -> None:
    assert len(parse_object(json.dumps({"a": [{}] * 1000}).encode())["a"]) == 1000


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert parse_object(b'{"a": "\\ud83c\\udf88"}') == {"a": "🎈"}


def test_an_escaped_backslash_before_a_u_is_no_surrogate() -> None:
    assert parse_object(b'{"a": "\\\\ud800"}') == {"a": "\\ud800"}


def test_large_integers_and_the_form_of_numbers_survive() -> None:
    assert repr(parse_object(b'{"a": [18446744073709551617, 1.0, 1]}')["a"]) == "[18446744073709551617, 1.0, 1]"


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_every_object_survives(value: dict[str, Any]) -> None:
    assert parse_object(json.dumps(value).encode()) == value


def read_or_status(body: bytes) -> type | int:
    try:
        return type(parse_object(body))
    except ApiError as error:
        return error.status


@given(st.binary())
def test_any_bytes_are_an_object_or_a_fault_of_the_client(body: bytes) -> None:
    assert read_or_status(body) in (dict, 400)
