"""What a request id may look like, in HTTP headers and gRPC metadata alike. It makes none up."""

import re

REQUEST_ID_PATTERN = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def is_request_id(text: str) -> bool:
    """Whether a caller's id is a plain word that can be taken over as it is."""
    return REQUEST_ID_PATTERN.fullmatch(text) is not None
