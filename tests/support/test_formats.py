"""The plain checks of formats, by examples of the JSON Schema Test Suite."""

from __future__ import annotations

import pytest

from tests.support.formats import FORMATS

VALID = {
    "hostname": ("www.example.com", "h", "1host", "a-b.c", "xn--4gbwdl.xn--wgbh1c", f"{'a' * 63}.com"),
    "duration": ("P4DT12H30M5S", "P4Y", "PT0S", "P0D", "P1M", "PT1M", "PT36H", "P1DT12H", "P2W", "P1Y2M3D"),
    "uri": (
        "http://foo.bar/?baz=qux#quux",
        "http://foo.com/blah_(wikipedia)_blah#cite-1",
        "http://-.~_!$&'()*+,;=:%40:80%2f::::::@example.com",
        "http://[2001:db8::7]:80/a",
        "ftp://ftp.is.co.za/rfc/rfc1808.txt",
        "mailto:John.Doe@example.com",
        "urn:oasis:names:specification:docbook:dtd:xml:4.1.2",
        "file:///etc/hosts",
        "a:",
    ),
}
WRONG = {
    "hostname": ("", "-a", "a-", "a..b", ".a", "a.", "a_b", "a b", "ü", f"{'a' * 64}.com", "a." * 126 + "ab", "a\n"),
    "duration": (
        "",
        "P",
        "PT",
        "P1",
        "4DT12H",
        "P1D2H",
        "P2D1Y",
        "PT1D",
        "P1YT",
        "P1Y2W",
        "P1Y2D",
        "PT1H2S",
        "P২Y",
        "P1D\n",
    ),
    "uri": (
        "",
        "//foo.bar/?baz=qux",
        "/abc",
        "abc",
        "http:// shouldfail.com",
        "http://a b",
        ":// should fail",
        "bar,baz:foo",
        "http://a\\b",
        "http://ü.de",
        "http://a/%zz",
        "http://[:::1]/",
        "http://a:b/",
        "https://[@example.org/test.txt",
        "a:<b>",
        "a:b\n",
    ),
}


@pytest.mark.parametrize(("format", "text"), [(format, text) for format in VALID for text in VALID[format]])
def test_what_has_the_format_conforms(format: str, text: str) -> None:
    assert FORMATS.conforms(text, format)


@pytest.mark.parametrize(("format", "text"), [(format, text) for format in WRONG for text in WRONG[format]])
def test_what_has_not_does_not(format: str, text: str) -> None:
    assert not FORMATS.conforms(text, format)


@pytest.mark.parametrize("format", VALID)
def test_what_is_no_string_has_any_format(format: str) -> None:
    assert FORMATS.conforms(3, format)
