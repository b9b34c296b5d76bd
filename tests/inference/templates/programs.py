"""Hypothesis strategies for chat templates that mean harm: loops, growth, deep values, and ways into Python."""

import re

from hypothesis import strategies as st

NUMBERS = ["0", "1", "-1", "3", "255", "99999", "1000000000", "10.5", "9 ** 9", "1e300", "none", "true"]
TEXTS = [
    "'a'", "''", "'ab ' * 3000", "'\\n' * 999", "messages[0].content", "x", "ns.x", "'%s %s'", "'{0}{0}{1}'",
    "'%1000000000d'", "'{:>1000000000}'", "'{0:{1}}'", "'%*d'", "'ß'", "bos_token", "'__class__'", "'%(a)s'",
]  # fmt: skip
LISTS = [
    "[]", "[1, 'b']", "messages", "range(99999)", "ns.y", "[ns.y, ns.y]", "(ns.y, ns.y)", "(ns.y,)", "x.split('a')",
    "'abc' | list", "{'a': ns.y, 'b': ns.y}", "namespace(a=ns.y, b=ns.y)", "messages[0]", "tools", "[x, x, x]", "ns",
]  # fmt: skip
FILTERS = [
    "abs", "attr('__class__')", "batch(N, T)", "batch(1000000000, 0)", "capitalize", "center(N)", "count", "d(T)",
    "default(T, true)", "dictsort", "dictsort(by='value')", "e", "escape", "first", "float", "forceescape",
    "format(T, N)", "groupby('role')", "groupby(N)", "indent(N)", "indent(T)", "int", "int(0, 36)", "items", "join(T)",
    "join(T, attribute='content')", "last", "length", "list", "lower", "map('upper')", "map('string') | map('trim')",
    "map(attribute='content')", "map('center', N)", "max", "min", "reject('none')", "rejectattr('role')",
    "replace(T, T)", "replace('', T)", "reverse", "round(N)", "round(1000000000, 'ceil')", "safe", "select",
    "select('eq', T)", "selectattr('content', 'eq', T)", "slice(N)", "sort", "sort(attribute='content')", "string",
    "sum", "sum(start=L)", "title", "tojson", "tojson(N)", "tojson(indent=60)", "trim(T)", "truncate(N)", "unique",
    "upper", "urlencode", "wordcount", "urlize", "striptags", "pprint", "xmlattr", "wordwrap(N)", "random",
    "filesizeformat",
]  # fmt: skip
METHODS = [
    "center(N)", "ljust(N, 'b')", "rjust(N)", "zfill(N)", "join(L)", "replace(T, T)", "replace('', T)",
    "format(L, T, N)", "format(*L)", "format(**messages[0])", "format_map(messages[0])", "split()", "split(T)",
    "splitlines()", "rsplit(T, N)", "partition(T)", "upper()", "title()", "strip(T)", "expandtabs(N)",
    "translate({97: T})", "encode('punycode')", "count(T)", "find(T)", "startswith(T)", "removeprefix(T)",
    "casefold()", "swapcase()", "isidentifier()", "append(T)", "extend(L)", "items()", "values()", "get(T)", "copy()",
    "update(L)", "pop()", "to_bytes(N, 'big')", "bit_length()", "__class__", "__class__.__mro__",
    "__init__.__globals__", "mro()", "__getattribute__('a')",
]  # fmt: skip
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "<", "in", "not in", "and", "or", "is eq", "is in"]
CALLS = [
    "range(N)", "range(N, N, N)", "dict(a=L, b=L)", "namespace(a=L)", "cycler(T, T).next()", "joiner(T)()",
    "lipsum(N)", "raise_exception(T)", "raise_exception(L)", "strftime_now('%Y')", "strftime_now(T)",
    "strftime_now('%1000000000Y')", "f(N)", "loop", "self", "caller()", "f", "f.name", "messages.__class__",
    "cycler.__init__.__globals__",
]  # fmt: skip


@st.composite
def _filled(draw: st.DrawFn, forms: list[str]) -> str:
    """One of the forms, with each N, T and L that stands alone replaced by a number, a text or a list."""
    form = draw(st.sampled_from(forms))
    for letter, values in (("N", NUMBERS), ("T", TEXTS), ("L", LISTS)):
        pieces = re.split(rf"\b{letter}\b", form)
        form = "".join(piece + draw(st.sampled_from(values)) for piece in pieces[:-1]) + pieces[-1]
    return form


ATOMS = st.sampled_from(NUMBERS + TEXTS + LISTS) | _filled(CALLS)
EXPRESSIONS: st.SearchStrategy[str] = st.recursive(
    ATOMS.map(lambda atom: f"({atom})"),
    lambda inner: st.one_of(
        st.tuples(inner, _filled(FILTERS)).map(lambda pair: f"({pair[0]} | {pair[1]})"),
        st.tuples(inner, _filled(METHODS)).map(lambda pair: f"{pair[0]}.{pair[1]}"),
        st.tuples(inner, st.sampled_from(OPERATORS), inner).map(lambda three: f"({' '.join(three)})"),
        st.tuples(inner, st.sampled_from(["[1:]", "[::-1]", "[:N]", "[0]", "['a']", "[-1:]"])).map(
            lambda pair: f"{pair[0]}{pair[1].replace('N', '99999')}"
        ),
    ),
    max_leaves=5,
)
BODIES = [
    "{{{{ {0} }}}}",
    "{{% set x = {0} %}}",
    "{{% set ns.x = {0} %}}",
    "{{% set ns.y = {0} %}}",
    "{{% set ns.y = [ns.y, ns.y, {0}] %}}",
    "{{% set ns.x = ns.x ~ ns.x ~ {0} %}}",
    "{{% set x %}}{{{{ x }}}}{{{{ {0} }}}}{{% endset %}}",
    "{{% if {0} %}}{{{{ {1} }}}}{{% endif %}}",
    "{{% filter upper %}}{{{{ {0} }}}}{{% endfilter %}}",
    "{{% macro f(n) %}}{{{{ {0} }}}}{{{{ f(n) }}}}{{{{ f(n) }}}}{{% endmacro %}}",
    "{{% call f(1) %}}{{{{ {0} }}}}{{% endcall %}}",
    "{{% block b %}}{{{{ self.b() }}}}{{% endblock %}}",
    "{{% generation %}}{{{{ {0} }}}}{{% endgeneration %}}",
    "{{% for a, b in {0} %}}{{{{ a }}}}{{% endfor %}}",
    "{{% for a in {0} recursive %}}{{{{ loop({1}) }}}}{{% endfor %}}",
]
STATEMENTS: st.SearchStrategy[str] = st.recursive(
    st.tuples(st.sampled_from(BODIES), EXPRESSIONS, EXPRESSIONS).map(lambda three: three[0].format(*three[1:])),
    lambda inner: st.tuples(
        st.sampled_from(
            [
                "{{% for a in {0} %}}{1}{{% endfor %}}",
                "{{% for a in range(99999) %}}{1}{2}{{% endfor %}}",
                "{{% for a in {0} if a %}}{1}{{% endfor %}}",
                "{1}{2}",
            ]
        ),
        EXPRESSIONS,
        inner,
        inner,
    ).map(lambda four: four[0].format(*four[1:])),
    max_leaves=6,
)
PROGRAMS = STATEMENTS.map(lambda body: "{% set ns = namespace(x='ab', y=[1]) %}{% set x = 'xa' %}" + body)
