"""The identifiers that the service makes up: random, unguessable, told apart by their prefix. It keeps none of them."""

import secrets
from collections.abc import Mapping

RESPONSE_PREFIX = "resp_"
COMPACTED_PREFIX = "compacted_"
# By the type of an item, as the contract's `Item` names it.
ITEM_PREFIXES: Mapping[str, str] = {
    "message": "msg_",
    "function_call": "fc_",
    "function_call_output": "fco_",
    "reasoning": "rs_",
    "compaction": "cmp_",
}


def new_response_id() -> str:
    return RESPONSE_PREFIX + secrets.token_hex(16)


def new_compacted_id() -> str:
    return COMPACTED_PREFIX + secrets.token_hex(16)


def new_item_id(kind: str) -> str:
    return ITEM_PREFIXES[kind] + secrets.token_hex(16)
