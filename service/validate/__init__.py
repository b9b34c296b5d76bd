"""The rules about the values of a request: every fault at once, by its path. Knows no model, no store and no engine."""

from service.validate.request import check_include, check_page, check_stream, validate
from service.validate.unsupported import UNSUPPORTED, NotYet

__all__ = ["UNSUPPORTED", "NotYet", "check_include", "check_page", "check_stream", "validate"]
