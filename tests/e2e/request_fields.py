"""Every field of a request for a response, with an example and what becomes of it; test_request_fields.py walks them.

The model of the examples has an opinion on every token, so that whatever changes its choice shows.
"""

from __future__ import annotations

from tests.e2e.field_row import (
    Json,
    Row,
    echoed,
    hint,
    honoured,
    logprobs,
    messages,
    prompt,
    quiet,
    refused,
    shown,
    unfinished,
)
from tests.service.scripted_model import encode

UNKNOWN = "nobody_knows_this"
PARENT = "resp_parent"  # stands for the id of a response that the test has made
DRAWN: Json = {"temperature": 1, "seed": 7}
A = str(encode("a")[0])
REPEATS: Json = {"logit_bias": {A: 20}, "dry_multiplier": 9, "dry_allowed_length": 1}
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}
SHOWN_FORMAT = {**FORMAT, "description": None}
TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "Looks it up.",
    "parameters": {"type": "object"},
    "strict": True,
}
CHAT_TOOL = {"type": "function", "function": {key: value for key, value in TOOL.items() if key != "type"}}
SOME = {"type": "allowed_tools", "tools": [{"type": "function", "name": "look_up"}]}
CHAT_SOME = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "look_up"}}]},
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "1"}
CALL = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
TEXT = {"type": "input_text", "text": "a"}
MEDIA = "unsupported_content"
PART = "input[0].content[0]"


def said(role: str, *parts: Json, **more: object) -> list[Json]:
    return [{"type": "message", "role": role, "content": list(parts), **more}, {"role": "user", "content": "hi"}]


INPUT = (
    honoured("input (a string)", "Something else."),
    honoured("input (a message without a type)", [{"role": "user", "content": "Something else."}]),
    honoured("input (parts of a user)", said("user", TEXT), prompt),
    honoured("input (a system message)", said("system", TEXT), prompt),
    honoured("input (a developer's message)", said("developer", TEXT), prompt),
    honoured("input (an answer)", said("assistant", {"type": "output_text", "text": "a", "annotations": []}), prompt),
    honoured("input (a refusal)", said("assistant", {"type": "refusal", "refusal": "a"}), prompt),
    *(
        honoured(
            f"input (a phase, {phase})", said("assistant", {"type": "output_text", "text": "a"}, phase=phase), prompt
        )
        for phase in ("commentary", "final_answer")
    ),
    shown(
        "input (an id and a status)",
        said("user", TEXT, id="msg_mine", status="whatever"),
        "tests/service/test_input_items.py::test_items_keep_their_ids_and_get_those_they_lack",
    ),
    shown(
        "input (thoughts)",
        [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}],
                "content": [{"type": "reasoning_text", "text": "a"}],
            },
            *said("user"),
        ],
        "tests/service/test_reasoning.py::test_the_template_decides_whether_earlier_thoughts_are_read",
    ),
    refused("input (a reference)", [{"type": "item_reference", "id": "msg_0"}], "item_not_found", "input"),
    honoured("input (a call and its output)", [CALL, OUTPUT, *said("user")], prompt),
    refused("input (an output without its call)", [OUTPUT], "tool_call_not_found", "input"),
    refused(
        "input (a compaction that is not ours)",
        [{"type": "compaction", "encrypted_content": "AA=="}],
        "invalid_value",
        "input[0].encrypted_content",
        "tests/service/test_compaction.py::test_the_model_goes_on_from_the_summary_also_in_later_turns",
    ),
    refused("input (a picture)", said("user", {"type": "input_image", "image_url": "data:,"}), MEDIA, PART),
    refused("input (a file)", said("user", {"type": "input_file", "file_data": "x"}), MEDIA, PART),
    refused("input (a video)", said("user", {"type": "input_video", "video_url": "x"}), MEDIA, PART),
    *(
        refused(f"input (a call's {key})", [{**CALL, key: value}, OUTPUT], param=f"input[0].{key}")
        for key, value in (("caller", {"type": "program", "caller_id": "p"}), ("namespace", "n"), ("async", True))
    ),
    *(
        refused(f"input (an output's {key})", [CALL, {**OUTPUT, key: value}], param=f"input[1].{key}")
        for key, value in (("caller", {"type": "program", "caller_id": "p"}), ("namespace", "n"), ("name", "look_up"))
    ),
    refused(
        "input (a breakpoint of a cache)",
        said("user", {**TEXT, "prompt_cache_breakpoint": {"mode": "explicit"}}),
        param=f"{PART}.prompt_cache_breakpoint",
    ),
    refused(
        "input (a file in detail)", said("user", {"type": "input_file", "file_id": "x", "detail": "low"}), MEDIA, PART
    ),
    refused("input (a call of a hosted tool)", [{"type": "web_search_call", "id": "ws_1"}], param="input[0]"),
    refused("input (an unknown item)", [{"type": "acme:x"}], "invalid_value", "input[0].type"),
    refused("input (an unknown key)", said("user", TEXT, knows=1), "unknown_parameter", "input[0].knows"),
    honoured("messages", [{"role": "user", "content": "Something else."}]),
    honoured("instructions", "Be brief.", prompt),
    honoured("previous_response_id", PARENT, prompt),
)

RUN = (
    echoed("model", "scripted"),
    refused("model (an unknown one)", "gpt-4o", "model_not_found"),
    shown("stream", True, "tests/facade/test_streaming.py::test_a_stream_is_framed_ordered_and_valid"),
    hint("stream_options.include_obfuscation", True),
    refused("stream_options.include_usage", True, "unknown_parameter"),
    shown("stream_format", "chunks", "tests/facade/test_chunks.py::test_text_comes_in_chunks_under_one_id"),
    shown("store", False, "tests/service/test_stored_responses.py::test_a_response_that_is_not_to_be_kept_is_not"),
    honoured("background", True, unfinished),
    honoured("max_output_tokens", 5),
    honoured("max_tokens", 5),
    honoured("max_completion_tokens", 5),
    echoed("truncation (disabled)", "disabled"),
    shown("truncation", "auto", "tests/service/test_truncation.py::test_a_conversation_goes_on_beyond_the_context"),
    shown(
        "truncate_sequence",
        True,
        "tests/service/test_truncation.py::test_a_conversation_goes_on_beyond_the_context",
    ),
    honoured("n_choices", 2, messages),
    honoured("n", 2, messages),
)

SAMPLING = (
    honoured("temperature", 1.5, seed=1),
    honoured("top_p", 0.05, **DRAWN),
    honoured("top_k", 1, **DRAWN),
    honoured("min_p", 0.9, **DRAWN),
    honoured("seed", 8, temperature=1),
    honoured("presence_penalty", 2),
    honoured("frequency_penalty", 2),
    honoured("repetition_penalty", 50),
    honoured("logit_bias", {A: 100}),
    honoured("dry_multiplier", 0, **REPEATS),
    honoured("dry_base", 1.1, **REPEATS),
    honoured("dry_allowed_length", 3, **REPEATS),
    honoured("dry_sequence_breakers", ["a"], **REPEATS),
    honoured("stop", ["aaa"], logit_bias={A: 20}),
    honoured("stop (a string)", "aaa", logit_bias={A: 20}),
    honoured("stop_seqs", ["aaa"], logit_bias={A: 20}),
    honoured("logprobs", True, logprobs),
    honoured("top_logprobs", 3, logprobs),
    honoured("include (log-probabilities)", ["message.output_text.logprobs"], logprobs),
)

SHAPE = (
    echoed("text.format (plain)", {"type": "text"}),
    honoured("text.format (an object)", {"type": "json_object"}),
    honoured("text.format (a schema)", FORMAT, echo=SHOWN_FORMAT),
    honoured(
        "text.format (a schema of chat clients)",
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
        echo=SHOWN_FORMAT,
    ),
    *(hint(f"text.verbosity ({word})", word) for word in ("low", "medium", "high")),
    honoured("response_format", {"type": "json_object"}),
    honoured("grammar (regex)", {"type": "regex", "value": "[0-9]+"}),
    honoured("grammar (lark)", {"type": "lark", "value": "start: /[0-9]+/"}),
    honoured("grammar (json_schema)", {"type": "json_schema", "value": SCHEMA}),
    honoured("grammar (llguidance)", {"type": "llguidance", "value": {"grammars": [{"json_schema": SCHEMA}]}}),
)

THINKING = "tests/service/test_reasoning.py::test_effort_and_switch_reach_the_template"
REASONING = (
    *(shown(f"reasoning.effort ({word})", word, THINKING) for word in ("none", "low", "medium", "high", "xhigh")),
    shown("reasoning.effort (minimal)", "minimal", THINKING, echo="low"),
    shown("reasoning.effort (max)", "max", THINKING, echo="xhigh"),
    shown("reasoning_effort", "high", THINKING),
    shown("enable_thinking", True, THINKING),
    *(hint(f"reasoning.summary ({word})", word) for word in ("auto", "concise", "detailed")),
    *(
        Row(f"reasoning.generate_summary ({word})", {"reasoning": {"generate_summary": word}}, idle=True, hint=True)
        for word in ("auto", "concise", "detailed")
    ),
    quiet("reasoning.context (auto)", "auto"),
    *(refused(f"reasoning.context ({word})", word) for word in ("current_turn", "all_turns")),
    quiet("reasoning.mode (standard)", "standard"),
    refused("reasoning.mode", "pro"),
    refused("reasoning.depth", 1, "unknown_parameter"),
    shown(
        "include (thoughts)",
        ["reasoning.encrypted_content"],
        "tests/service/test_reasoning.py::test_a_thought_comes_before_the_message_with_its_own_events",
    ),
)

AT_MOST = "tests/service/test_tools.py::test_at_most_so_many_calls_are_made"
MADE = "tests/service/test_tools.py::test_required_and_named_calls_are_made_and_valid"
LIMIT = "tests/service/test_tools.py::test_allowed_tools_are_a_hard_limit_while_all_stay_in_the_prompt"
OFFERED: Json = {"tools": [TOOL]}
PLAIN: Json = {"allowed_callers": ["direct"], "defer_loading": False, "async": False}
MORE: Json = {"allowed_callers": ["programmatic"], "output_schema": {}, "defer_loading": True, "async": True}
TOOLS = (
    honoured("tools", [TOOL], prompt),
    honoured("tools (of chat clients)", [CHAT_TOOL], prompt, echo=[TOOL]),
    refused("tools (a hosted one)", [{"type": "web_search"}], param="tools[0]"),
    honoured("tools (that ask for nothing more)", [{**TOOL, **PLAIN}], prompt, echo=[TOOL]),
    *(refused(f"tools ({key})", [{**TOOL, key: value}], param=f"tools[0].{key}") for key, value in MORE.items()),
    shown("tool_choice (required)", "required", MADE, **OFFERED),
    shown("tool_choice (a name)", {"type": "function", "name": "look_up"}, MADE, **OFFERED),
    shown("tool_choice (some)", {**SOME, "mode": "required"}, LIMIT, **OFFERED),
    shown(
        "tool_choice (none)",
        "none",
        "tests/service/test_tools.py::test_without_tools_and_with_none_a_call_is_text",
    ),
    shown("tool_choice (some, of chat clients)", CHAT_SOME, LIMIT, echo={**SOME, "mode": "required"}, **OFFERED),
    refused(
        "tool_choice (a hosted one among some)",
        {**SOME, "tools": [{"type": "mcp", "server_label": "x"}]},
        param="tool_choice.tools[0].type",
    ),
    refused("tool_choice (a hosted one)", {"type": "file_search"}, param="tool_choice"),
    refused("tool_choice (without tools)", "required", "invalid_value"),
    echoed("tool_choice (auto)", "auto"),
    shown("parallel_tool_calls", False, AT_MOST),
    shown("max_tool_calls", 1, AT_MOST),
    refused("web_search_options", {}),
)

TIERS = ("auto", "default", "flex", "priority", "scale", "fast", "ultrafast")
NOTES = (
    echoed("metadata", {"note": "n"}),
    hint("safety_identifier", "somebody"),
    hint("prompt_cache_key", "key"),
    hint("user", "somebody"),
    *(hint(f"service_tier ({word})", word, echo="default") for word in TIERS),
)

NOT_HERE = (
    *(
        refused(f"include ({name})", [name], param="include[0]")
        for name in (
            "file_search_call.results",
            "web_search_call.results",
            "web_search_call.action.sources",
            "message.input_image.image_url",
            "computer_call_output.output.image_url",
            "code_interpreter_call.outputs",
        )
    ),
    refused("conversation", "conv_1"),
    refused("prompt", {"id": "pmpt_1"}),
    quiet("prompt_cache_retention (in memory)", "in_memory"),
    refused("prompt_cache_retention", "24h"),
    quiet("prompt_cache_options (none)", {}),
    refused("prompt_cache_options", {"mode": "explicit"}),
    quiet("context_management (none)", []),
    refused("context_management", [{"type": "compaction"}]),
    refused("moderation", {"model": "omni-moderation-latest"}),
    quiet("image (none)", {}),
    refused("image", {"context_compression": "enabled"}),
    quiet("access_programs (none)", {}),
    refused("access_programs", {"cyber": "daybreak_blue"}),
    quiet("background_options (none)", {}),
    refused("background_options", {"completion_window": "8h"}),
    refused("personality", "friendly"),
    refused(UNKNOWN, 1, "unknown_parameter"),
)

ROWS: tuple[Row, ...] = (*INPUT, *RUN, *SAMPLING, *SHAPE, *REASONING, *TOOLS, *NOTES, *NOT_HERE)
