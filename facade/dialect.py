"""Where the JSON of requests is more than its messages say: required keys, other spellings, words nobody serves.

Tables only; the reader applies them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from facade.unsupported import TYPES

# Keys whose absence the contract cannot show to the service, since an empty value looks the same.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "MessageItem": ("role", "content"),
    "FunctionCallItem": ("call_id", "name", "arguments"),
    "FunctionCallOutputItem": ("call_id", "output"),
    "ItemReference": ("id",),
    "CompactionItem": ("encrypted_content",),
    "InputText": ("text",),
    "OutputText": ("text",),
    "Refusal": ("refusal",),
    "ReasoningText": ("text",),
    "SummaryText": ("text",),
    "Text": ("text",),
    "InputVideo": ("video_url",),
    "UrlCitation": ("url", "title", "start_index", "end_index"),
    "FunctionTool": ("name",),
    "FunctionToolChoice": ("name",),
    "AllowedTools": ("tools",),
    "JsonSchemaFormat": ("name", "schema"),
    "Grammar": ("type", "value"),
}

# Keys that come back with our own output and mean nothing in input.
IGNORED: Mapping[str, frozenset[str]] = {"OutputText": frozenset({"logprobs"})}

# Enums that may have any word in input; what is none of theirs is left unsaid.
LENIENT = frozenset({"ItemStatus"})

# Parts of chat and voice APIs that have no place in the contract, and are no less pictures or sounds for that.
OTHER_MEDIA = frozenset({"image_url", "input_audio", "audio", "audio_url", "video_url", "file", "computer_screenshot"})


def reason_of_tag(message: str, tag: str) -> str:
    """Why a `type` that names no field of `message` is refused."""
    if message == "Tool" or tag in TYPES.get(message, ()):
        return "UNSUPPORTED_PARAMETER"
    return "UNSUPPORTED_CONTENT" if message == "ContentPart" and tag in OTHER_MEDIA else "INVALID_VALUE"


def json_text(value: Mapping[str, Any]) -> str:
    """Compact JSON text of a parsed object: key order, integers of any size and the form of numbers survive."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _item(value: Any) -> Any:
    if not isinstance(value, dict) or value.get("type") is not None:
        return value
    if "role" in value:
        return {**value, "type": "message"}
    # What says nothing but an id stands for the item of that id.
    only_id = [key for key, inner in value.items() if inner is not None] == ["id"]
    return {**value, "type": "item_reference"} if only_id else value


def _message(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        part = "output_text" if value.get("role") == "assistant" else "input_text"
        return {**value, "content": [{"type": part, "text": value["content"]}]}
    return value


def _allowed_tools(value: Any) -> Any:
    """Its entries are always functions, so the contract has no room for their `type`."""
    if not isinstance(value, dict) or not isinstance(value.get("tools"), list):
        return value
    return {**value, "tools": [_bare_function(tool) for tool in value["tools"]]}


def _bare_function(tool: Any) -> Any:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        return tool
    bare = {key: inner for key, inner in tool.items() if key != "type"}
    return bare["function"] if bare.keys() == {"function"} else bare


def _grammar(value: Any) -> Any:
    """A schema may be written as JSON itself; the contract has its text."""
    if not isinstance(value, dict) or value.get("type") not in ("json_schema", "llguidance"):
        return value
    return {**value, "value": json_text(value["value"])} if isinstance(value.get("value"), dict) else value


# Messages whose fields chat clients put into an object of their own, under the key that `type` names.
NESTED: Mapping[str, frozenset[str]] = {
    "Tool": frozenset({"function"}),
    "ToolChoice": frozenset({"function", "allowed_tools"}),
    "TextFormat": frozenset({"json_schema"}),
    "UserLocation": frozenset({"approximate"}),
}

# Applied to the JSON of a message before it is read.
REWRITES: Mapping[str, Callable[[Any], Any]] = {
    "Item": _item,
    "MessageItem": _message,
    "AllowedTools": _allowed_tools,
    "Grammar": _grammar,
}
