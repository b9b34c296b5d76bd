"""Compiles templates so that each operation tells the environment of itself, before or after it happened.

Knows Jinja's syntax tree and its code generator. Does not know what an operation may cost.
"""

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension
from jinja2.parser import Parser


class MeteredCodeGenerator(CodeGenerator):
    """Calls `environment.begin` at loops and assignments, `round` within loops and macros, `made` on new lists
    and slices, `compared` on comparisons, and `str_join` in the place of Jinja's own."""

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        self.visit(_statement("begin", node.lineno), frame)
        node.body.insert(0, _statement("round", node.lineno))
        super().visit_For(node, frame)

    def visit_Macro(self, node: nodes.Macro, frame: Frame) -> None:
        node.body.insert(0, _statement("round", node.lineno))
        super().visit_Macro(node, frame)

    def visit_Assign(self, node: nodes.Assign, frame: Frame) -> None:
        self.visit(_statement("begin", node.lineno), frame)
        super().visit_Assign(node, frame)

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.made(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.made(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.made(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self.write("environment.compared(")
        super().visit_Compare(node, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.made(")
        super().visit_Getitem(node, frame)
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.str_join((")
        for piece in node.nodes:
            self.visit(piece, frame)
            self.write(", ")
        self.write("))")


class Generation(Extension):
    """`{% generation %}` marks what the model says for training; to a prompt it means nothing."""

    tags = {"generation"}  # noqa: RUF012  (declared by Jinja as an instance variable)

    def parse(self, parser: Parser) -> nodes.Node:
        lineno = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=lineno)


def _statement(method: str, lineno: int) -> nodes.ExprStmt:
    # The code generator writes the name of an attribute as it stands; a node for a call would be a template's call.
    statement = nodes.ExprStmt(nodes.EnvironmentAttribute(f"{method}()"))
    statement.set_lineno(lineno)
    return statement
