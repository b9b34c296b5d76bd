"""Models whose chat template knows tools and calls are told of them in its own way."""

from __future__ import annotations

import json
from pathlib import Path

from answerd.v1.create_response_pb2 import CreateResponseRequest
from answerd.v1.input_pb2 import Input, ItemList
from answerd.v1.item_pb2 import FunctionCallOutputItem, FunctionOutput, Item
from answerd.v1.tool_pb2 import FunctionTool, Tool
from inference.grammar.compiler import GrammarCompiler
from inference.grammar.grammar import Grammar, GrammarKind
from inference.grammar.vocabulary import Vocabulary
from inference.tokenizer import Tokenizer
from service.output.parser import TAGS
from tests.inference.tiny_tokenizer import tiny_tokenizer
from tests.service.scripted_model import CHATML, WAIT
from tests.service.served import names, serving

# Like Qwen's: signatures in the system text, calls as JSON between tags, outputs under a role of their own.
QWEN = (
    "{% if tools %}<|im_start|>system\n# Tools\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n"
    "{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
    "{% for call in message.tool_calls %}<tool_call>\n"
    '{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}\n</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CALL = '<tool_call>\n{"name": "now", "arguments": {"zone": "CET"}}\n</tool_call>'
SCHEMA = {"type": "object", "properties": {"zone": {"enum": ["CET", "UTC"]}}}
NOW = Tool(function=FunctionTool(name="now", description="Tells the time.", parameters=json.dumps(SCHEMA)))


async def test_the_template_tells_of_tools_calls_and_outputs(tmp_path: Path) -> None:
    async with serving(tmp_path, {"time?": CALL}, template=QWEN, context=1000) as served:
        first = await served.answer("time?", tools=[NOW])
        [item] = first.output
        output = FunctionCallOutputItem(call_id=item.function_call.call_id, output=FunctionOutput(text="noon"))
        given = Input(items=ItemList(items=[Item(function_call_output=output)]))
        request = CreateResponseRequest(input=given, previous_response_id=first.id, tools=[NOW])
        events = [event async for event in served.stub.CreateResponse(request, timeout=WAIT)]
    assert names(events)[-1] == "completed"
    signature = {"name": "now", "description": "Tells the time.", "parameters": SCHEMA}
    system = f"system\n# Tools\n{json.dumps({'type': 'function', 'function': signature})}\n\n"
    assert served.script.prompts[0] == f"{system}user\ntime?\nassistant\n"
    assert served.script.prompts[1] == f"{system}user\ntime?\nassistant\n{CALL}\ntool\nnoon\nassistant\n"


async def test_another_template_gets_a_system_text_behind_the_instructions(tmp_path: Path) -> None:
    async with serving(tmp_path, {}, template=CHATML, context=2000) as served:
        await served.answer("time?", tools=[NOW], instructions="Be brief.")
    prompt = served.script.prompts[0]
    assert prompt.startswith("system\nBe brief.\n\n# Tools\n")
    assert '"name": "now"' in prompt


def test_tags_that_are_special_tokens_are_read_as_their_text() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_special_tokens(["<tool_call>", "<other>"])
    model = Tokenizer(tokenizer)
    shown = model.token_bytes(shown=TAGS)
    ids = model.special_tokens
    assert shown[ids["<tool_call>"]] == b"<tool_call>"
    assert shown[ids["<other>"]] == b""
    vocabulary = Vocabulary.of(shown, ids, frozenset({ids["<|im_end|>"]}))
    assert ids["<tool_call>"] not in vocabulary.special
    assert ids["<other>"] in vocabulary.special
    compiler = GrammarCompiler(vocabulary, model.split)
    matcher = compiler.compile(Grammar(GrammarKind.LARK, 'start: "<tool_call>hi" /[0-9]/'))
    assert next(iter(matcher.forced())) == ids["<tool_call>"]
    compiler.close()
