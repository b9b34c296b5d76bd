"""From the items of a conversation to chat messages, as templates take them. It knows no store and no tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypedDict

from answerd.v1.content_pb2 import ContentPart
from answerd.v1.item_pb2 import FunctionCallItem, FunctionCallOutputItem, Item, MessageItem, Role
from service.output.parser import CALL, CALLED
from service.validate.items import part_text

# Chat templates know no developer; the word of one counts as the system's.
ROLE_NAMES = {
    Role.ROLE_USER: "user",
    Role.ROLE_ASSISTANT: "assistant",
    Role.ROLE_SYSTEM: "system",
    Role.ROLE_DEVELOPER: "system",
}


class ChatMessage(TypedDict, total=False):
    """What chat templates take; `role` and `content` are always there."""

    role: str
    content: str
    reasoning_content: str  # whether a thought of an earlier turn is read again is the template's to say
    tool_calls: list[dict[str, Any]]
    tool_call_id: str
    name: str


def chat_messages(instructions: str | None, items: Iterable[Item], *, native_calls: bool) -> list[ChatMessage]:
    """The messages of a conversation: the instructions of this turn first, then the items in their order.

    native_calls: whether the template knows calls and their outputs; otherwise both are written as text, in the form in
    which the model writes calls.
    """
    conversation = _Conversation(instructions, native_calls)
    for item in items:
        conversation.add(item)
    return conversation.messages


class _Conversation:
    def __init__(self, instructions: str | None, native_calls: bool) -> None:
        self.messages = [ChatMessage(role="system", content=instructions)] if instructions else []
        self._native_calls = native_calls
        self._turn: ChatMessage | None = None  # the assistant's message that thoughts, words and calls may join
        self._outputs: ChatMessage | None = None  # the user's message that outputs of calls may join
        self._names: dict[str, str] = {}  # of functions, by the identifier of their call

    def add(self, item: Item) -> None:
        match item.WhichOneof("type"):
            case "message":
                self._add_message(item.message)
            case "reasoning":
                if words := _words(item.reasoning.content):
                    self._of_assistant(fresh=True)["reasoning_content"] = words
            case "function_call":
                self._add_call(item.function_call)
            case "function_call_output":
                self._add_output(item.function_call_output)

    def _add_message(self, message: MessageItem) -> None:
        words = _words(message.content)
        if message.role == Role.ROLE_ASSISTANT:
            self._of_assistant(fresh=True)["content"] = words
        else:
            self._append(ChatMessage(role=ROLE_NAMES[message.role], content=words))

    def _add_call(self, call: FunctionCallItem) -> None:
        self._names[call.call_id] = call.name
        turn = self._of_assistant()
        if self._native_calls:
            function = {"name": call.name, "arguments": _arguments(call.arguments)}
            turn.setdefault("tool_calls", []).append({"id": call.call_id, "type": "function", "function": function})
        else:
            text = f'{CALL}\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n{CALLED}'
            turn["content"] = f"{turn['content']}\n{text}".removeprefix("\n")

    def _add_output(self, output: FunctionCallOutputItem) -> None:
        form = output.output
        words = form.text if form.WhichOneof("form") == "text" else _words(form.parts.parts)
        if self._native_calls:
            name = self._names.get(output.call_id, "")
            self._append(ChatMessage(role="tool", content=words, tool_call_id=output.call_id, name=name))
            return
        text = f"<tool_response>\n{words}\n</tool_response>"
        if self._outputs is None:
            outputs = ChatMessage(role="user", content=text)
            self._append(outputs)
            self._outputs = outputs
        else:
            self._outputs["content"] += f"\n{text}"

    def _of_assistant(self, *, fresh: bool = False) -> ChatMessage:
        """The assistant's message that the next item joins. fresh: only if it has neither words nor calls yet."""
        if self._turn is None or (fresh and (self._turn["content"] or "tool_calls" in self._turn)):
            turn = ChatMessage(role="assistant", content="")
            self._append(turn)
            self._turn = turn
        return self._turn

    def _append(self, message: ChatMessage) -> None:
        self.messages.append(message)
        self._turn = self._outputs = None


def _words(parts: Iterable[ContentPart]) -> str:
    return "".join(map(part_text, parts))


def _arguments(text: str) -> Any:
    """As templates want them; those of a call that was cut off stay text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
