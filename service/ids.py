"""The identifiers that the service makes up: random, unguessable, told apart by their prefix. It keeps none of them."""

import secrets

RESPONSE_PREFIX = "resp_"
MESSAGE_PREFIX = "msg_"


def new_response_id() -> str:
    return RESPONSE_PREFIX + secrets.token_hex(16)


def new_message_id() -> str:
    return MESSAGE_PREFIX + secrets.token_hex(16)
