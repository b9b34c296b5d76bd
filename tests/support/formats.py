"""The formats of JSON Schema that answers are checked against: jsonschema's, and plain checks of those for which it
wants further packages."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from jsonschema import Draft202012Validator, FormatChecker

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_TIME = r"T(?:\d+H(?:\d+M(?:\d+S)?)?|\d+M(?:\d+S)?|\d+S)"
_DATE = r"(?:\d+Y(?:\d+M(?:\d+D)?)?|\d+M(?:\d+D)?|\d+D)"
_DURATION = re.compile(rf"P(?:{_DATE}(?:{_TIME})?|{_TIME}|\d+W)", re.ASCII)
_PLAIN = r"[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}"
_SEGMENT = rf"(?:{_PLAIN}|[:@])"
_AUTHORITY = rf"(?:(?:{_PLAIN}|:)*@)?(?:\[(?P<address>[^\[\]]*)\]|(?:{_PLAIN})*)(?::[0-9]*)?"
_PATHS = rf"//{_AUTHORITY}(?:/{_SEGMENT}*)*|/?{_SEGMENT}+(?:/{_SEGMENT}*)*|/?"
_REST = rf"(?:{_SEGMENT}|[/?])*"
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:(?:{_PATHS})(?:\?{_REST})?(?:#{_REST})?")


def is_hostname(text: object) -> bool:
    """RFC 1123, section 2.1."""
    return not isinstance(text, str) or (len(text) <= 253 and _HOSTNAME.fullmatch(text) is not None)


def is_duration(text: object) -> bool:
    """RFC 3339, appendix A."""
    return not isinstance(text, str) or _DURATION.fullmatch(text) is not None


def is_uri(text: object) -> bool:
    """RFC 3986, appendix A; of the addresses in brackets those of IPv6."""
    if not isinstance(text, str):
        return True
    found = _URI.fullmatch(text)
    return found is not None and (found["address"] is None or _is_address(found["address"]))


def _is_address(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


FORMATS = FormatChecker(())
FORMATS.checkers |= Draft202012Validator.FORMAT_CHECKER.checkers
FORMATS.checkers |= {"hostname": (is_hostname, ()), "duration": (is_duration, ()), "uri": (is_uri, ())}
