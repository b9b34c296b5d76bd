"""What OpenAI's API knows and this server has not: keys and types, which are refused by name instead of as unknown.

Tables only. Beside a key stand the values that ask for nothing; these pass, as null does. What the contract itself
knows and the service refuses stands in service/validate/unsupported.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from facade.errors import ApiError

Quiet = tuple[object, ...]

# Keys of the body.
KEYS: Mapping[str, Quiet] = {
    "conversation": (),
    "prompt": (),
    "prompt_cache_retention": ("in_memory",),
    "prompt_cache_options": ({}, {"mode": "implicit"}),
    "context_management": ([],),
    "moderation": (),
    "image": ({}, {"context_compression": "auto"}),
    "access_programs": ({}, {"cyber": "standard"}),
    "background_options": ({}, {"completion_window": "soonest"}),
    "personality": (),
}

DIRECT = {"type": "direct"}
# Keys within the body, by the message of the contract that lacks them.
PARTS: Mapping[str, Mapping[str, Quiet]] = {
    # The older name of `summary`, which is a hint: whatever it asks for, thoughts are told as they are.
    "ReasoningConfig": {
        "context": ("auto",),
        "mode": ("standard",),
        "generate_summary": ("auto", "concise", "detailed"),
    },
    "FunctionTool": {
        "allowed_callers": ([], ["direct"]),
        "output_schema": (),
        "defer_loading": (False,),
        "async": (False,),
    },
    # A function's is taken off before; what is left is a hosted tool's.
    "FunctionToolChoice": {"type": ()},
    "FunctionCallItem": {"caller": (DIRECT,), "namespace": (), "async": (False,)},
    "FunctionCallOutputItem": {"caller": (DIRECT,), "namespace": (), "name": ()},
    "InputText": {"prompt_cache_breakpoint": ()},
    "InputImage": {"prompt_cache_breakpoint": ()},
    "InputFile": {"prompt_cache_breakpoint": (), "detail": ("auto", "low", "high")},
}

# Values of `type`, by the message of the contract that has no field for them. Tools need none: whatever type one has,
# it is somebody's.
HOSTED = (
    *("file_search", "web_search_preview", "web_search_preview_2025_03_11", "image_generation", "code_interpreter"),
    *("computer", "computer_use", "computer_use_preview", "mcp", "custom", "apply_patch", "shell"),
    "programmatic_tool_calling",
)
TYPES: Mapping[str, frozenset[str]] = {
    "ToolChoice": frozenset(HOSTED),
    "Item": frozenset(
        (
            *("file_search_call", "web_search_call", "image_generation_call", "code_interpreter_call"),
            *("computer_call", "computer_call_output", "tool_search_call", "tool_search_output"),
            *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
            *("apply_patch_call", "apply_patch_call_output", "custom_tool_call", "custom_tool_call_output"),
            *("mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "mcp_call"),
            *("program", "program_output", "additional_tools", "configuration_update", "compaction_trigger"),
        )
    ),
}


def unsupported(path: str) -> ApiError:
    return ApiError("UNSUPPORTED_PARAMETER", f"Unsupported parameter: '{path}' is not supported by this server.", path)


def asks_for_nothing(value: object, quiet: Quiet) -> bool:
    """Whether a value changes nothing; 0 is not false here."""
    return value is None or any(type(value) is type(harmless) and value == harmless for harmless in quiet)
