"""The Jinja environment in which chat templates run: what transformers gives them, within bounds.

Knows Jinja and how a template could hang or flood the process. Does not know messages, tokens or models.
"""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.types import InferenceError

MAX_STEPS = 250_000  # loop rounds and macro calls of one rendering
MAX_CHARACTERS = 32 * 1024 * 1024  # of one rendering, or of any text made on the way
_MAX_BITS = 4096
# No template can name or reach a variable whose name is not an identifier.
_STEPS = "steps of this rendering"


class TemplateError(InferenceError):
    """The chat template is broken, refuses the messages, or does not come to an end; the message is one sentence."""


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox in which every loop, macro, text and number is bounded; `render` counts the steps."""

    intercepted_binops = frozenset(["+", "*", "**"])

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.code_generator_class = _SteppingCodeGenerator
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["strftime_now"] = lambda format: clock().strftime(format)

    def step(self, context: Context) -> None:
        """Called by every loop round and every macro."""
        steps = context.parent[_STEPS]
        steps[0] += 1
        if steps[0] > MAX_STEPS:
            raise TemplateError(f"The chat template was stopped: it runs through more than {MAX_STEPS} loop rounds.")

    def concat(self, pieces: Iterable[str]) -> str:
        """Called for the whole output, for `{% set %}` blocks and for macros."""
        return _join(pieces)

    def str_join(self, pieces: Iterable[Any]) -> str:
        """Called for `~`."""
        return _join(map(str, pieces))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if _result_size(operator, left, right) > MAX_CHARACTERS:
            raise _too_large()
        return super().call_binop(context, operator, left, right)


def step_counter() -> dict[str, Any]:
    """The variables that a rendering in a TemplateEnvironment needs besides its own."""
    return {_STEPS: [0]}


class _SteppingCodeGenerator(CodeGenerator):
    """Compiles loops and macros with a call of `TemplateEnvironment.step`, and `~` as a bounded join."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        node.body.insert(0, _step(node.lineno))
        super().visit_For(node, frame)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:
        node.body.insert(0, _step(node.lineno))
        super().visit_Macro(node, frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.str_join((")
        for piece in node.nodes:
            self.visit(piece, frame)
            self.write(", ")
        self.write("))")


def _step(lineno: int) -> nodes.ExprStmt:
    call = nodes.Call(nodes.EnvironmentAttribute("step"), [nodes.ContextReference()], [], None, None)
    statement = nodes.ExprStmt(call)
    statement.set_lineno(lineno)
    return statement


class _Generation(Extension):
    """`{% generation %}` marks what the model says for training; to a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012  (declared by Jinja as an instance variable)

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=lineno)


def _join(pieces: Iterable[str]) -> str:
    kept: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_CHARACTERS:
            raise _too_large()
        kept.append(piece)
    return "".join(kept)


def _result_size(operator: str, left: Any, right: Any) -> int:
    """An upper bound for the size of the result: characters or items; for numbers 0 or far too many."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
        return 0 if bits <= _MAX_BITS else MAX_CHARACTERS + 1
    sizes = [len(side) for side in (left, right) if isinstance(side, (str, list, tuple))]
    if operator == "+":
        return sum(sizes)
    factors = [side for side in (left, right) if isinstance(side, int)]
    return sizes[0] * factors[0] if operator == "*" and sizes and factors else 0


def _too_large() -> TemplateError:
    return TemplateError("The chat template was stopped: it makes a text or number that is too large.")


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is: Jinja's own filter escapes <, >, & and ', which models were not trained on."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: Any) -> NoReturn:
    raise TemplateError(str(message))
