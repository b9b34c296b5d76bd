"""Ways to hang, flood or leave the sandbox, one by one: each is refused in a sentence, or does nothing."""

import time

import pytest

from inference.chat import ChatTemplate, TemplateError

# In which a rendering has to end. More is for the compilation, whose time goes with the source (so sources are short
# here), and for the operation that runs then.
SECONDS = 0.3

ENDLESS = {
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{{ j }}{% endfor %}{% endfor %}",
    "loops that skip": "{% for i in range(99999) %}{% for j in range(99999) if false %}{% endfor %}{% endfor %}",
    "a block that calls itself": "{% block a %}{{ self.a() }}{{ self.a() }}{% endblock %}",
    "a loop that calls itself": "{% for i in [[1]] recursive %}{{ loop([i]) }}{{ loop([i]) }}{% endfor %}",
    "searches": "{% set t = 'a' * 999999 %}{% for i in range(99999) %}{% if 'b' ~ i in t %}{% endif %}{% endfor %}",
    "comparisons": "{% set t = 'a' * 999999 %}" + "{{ t + 'b' == t + 'c' }}" * 90,
    "slices": "{% set t = 'a' * 999999 %}{% for i in range(99999) %}{% set u = t[1:] %}{% endfor %}",
    "sorts": "{% for i in range(99999) %}{% set u = range(99999) | sort(reverse=true) %}{% endfor %}",
    "filters over filters": "{% set n = namespace(x=range(99999)) %}{% for i in range(9999) %}"
    "{% set n.x = n.x | map('string') %}{% endfor %}{{ n.x | list | length }}",
}
LARGE = {
    "a product": "{{ 'a' * 999999999 }}",
    "a power": "{{ 9 ** 99999 }}",
    "a percent width": "{{ '%999999999d' % 1 }}",
    "a computed percent width": "{{ '%*d' % (999999999, 1) }}",
    "percent fields": "{{ ('%(a)s' * 9999) % {'a': 'x' * 99999} }}",
    "the filter format": "{{ '%999999999s' | format('a') }}",
    "a brace width": "{{ '{:999999999}'.format(1) }}",
    "a computed brace width": "{{ '{:{}}'.format(1, 999999999) }}",
    "brace fields": "{{ ('{0}' * 9999).format('x' * 99999) }}",
    "the filter center": "{{ 'a' | center(999999999) }}",
    "center": "{{ 'a'.center(999999999) }}",
    "ljust by name": "{% set f = 'a'['ljust'] %}{{ f(999999999) }}",
    "zfill": "{{ 'a'.zfill(999999999) }}",
    "tabs": "{{ ('\\t' * 9999).expandtabs(999999) }}",
    "an indent": "{{ ('\\n' * 9999) | indent(99999) }}",
    "a replacement": "{{ ('a' * 99999) | replace('a', 'b' * 99999) }}",
    "replace": "{{ ('a' * 99999).replace('a', 'b' * 99999) }}",
    "replacing nothing": "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
    "translate": "{{ ('a' * 99999).translate({97: 'b' * 99999}) }}",
    "the filter join": "{{ range(99999) | join('b' * 99999) }}",
    "join": "{{ ('b' * 99999).join(['a'] * 99999) }}",
    "join of what is made on the way": "{{ ('b' * 99999).join(range(99999) | map('string')) }}",
    "batches": "{{ [1] | batch(999999999, 0) | list }}",
    "slices of nothing": "{{ [1] | slice(999999999, 0) | list }}",
    "JSON": "{{ ([[[[[[[[1]]]]]]]] * 99999) | tojson(indent=64) }}",
    "an absurd indent of JSON": "{{ [1] | tojson(indent=999999999) }}",
    "a rounding": "{{ 1.5 | round(999999999, 'ceil') }}",
    "a number's bytes": "{{ (5).to_bytes(999999999, 'big') }}",
    "a sum of lists": "{{ ([[1]] * 9999) | sum(start=[]) }}",
    "words": "{{ lipsum(n=99999) }}",
    "a time": "{{ strftime_now('%999999999Y') }}",
    "many slices at once": "{% set t = 'a' * 1999999 %}{% set u = [" + "t[1:]," * 90 + "] %}",
    "many texts at once": "{% set n = namespace(x=[]) %}{% for i in range(9999) %}"
    "{% set n.x = n.x + [('a' * 999999) ~ i] %}{% endfor %}",
    "many words at once": "{% set n = namespace(x=[]) %}{% for i in range(9999) %}"
    "{% set n.x = n.x + ['a ' * 99999].pop().split() %}{% endfor %}",
}
GROWING = {
    "written out": "{{ n.x }}",
    "joined": "{{ 'a' ~ n.x }}",
    "as JSON": "{{ n.x | tojson }}",
    "in upper case": "{{ n.x | upper }}",
    "compared": "{{ n.x == n.y }}",
    "a key": "{{ {n.x: 1} }}",
    "unique": "{{ [n.x] | unique | list }}",
    "formatted": "{{ '%s' % [n.x] }}",
}
STEPS = {
    "lists": "{% set n.x = [n.x, n.x] %}",
    "tuples": "{% set n.x = (n.x, n.x) %}",
    "dicts": "{% set n.x = {'a': n.x, 'b': n.x} %}",
    "namespaces": "{% set n.x = namespace(a=n.x, b=n.x) %}",
    "products": "{% set n.x = [n.x] * 2 %}",
    "depth": "{% set n.x = (n.x,) %}",
    "depth of batches": "{% set n.x = [n.x] | batch(1) | list %}",
}
WAYS_OUT = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ [''] | map(attribute='__class__') | list }}",
    "{{ '{0.__class__.__mro__}'.format('') }}",
    "{{ '{x.__init__.__globals__}'.format(x=namespace) }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ raise_exception.__globals__ }}",
    "{{ raise_exception.__self__ }}",
    "{{ strftime_now.__closure__ }}",
    "{{ range.__self__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{% macro f() %}{% endmacro %}{{ f.__call__.__func__.__globals__ }}",
    "{{ n._Namespace__attrs }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({}) }}",
    "{{ messages | map('attr', '__class__') | list }}",
    "{{ messages | groupby('__class__') }}",
    "{{ 'a'.encode('punycode') }}",
    "{{ environment.globals }}",
]


def attempt(source: str) -> str:
    began = time.thread_time()
    try:
        messages = [{"role": "user", "content": "hi"}]
        said = "".join(segment.text for segment in ChatTemplate(source, max_seconds=SECONDS).render(messages))
    except TemplateError as error:
        said = str(error)
    assert time.thread_time() - began < SECONDS + 3
    return said


@pytest.mark.parametrize("source", [*ENDLESS.values(), *LARGE.values()], ids=[*ENDLESS, *LARGE])
def test_a_template_that_takes_or_makes_too_much_is_stopped(source: str) -> None:
    assert attempt(source).startswith("The chat template ")


@pytest.mark.parametrize(
    ("step", "use"),
    [(step, "{{ n.x }}") for step in STEPS.values()] + [(STEPS["tuples"], use) for use in GROWING.values()],
    ids=[*STEPS, *GROWING],
)
def test_a_value_that_holds_itself_many_times_is_stopped(step: str, use: str) -> None:
    """Each round doubles what is within, or puts it deeper: few bytes, but more than anybody can write or compare."""
    begin = "{% set n = namespace(x=1, y=1) %}"
    loop = "{% for i in range(9999) %}" + step + "{% set n.y = n.x %}{% endfor %}"
    assert attempt(begin + loop + use).startswith("The chat template was stopped: it ")


@pytest.mark.parametrize("source", WAYS_OUT)
def test_a_template_cannot_reach_what_is_behind_its_values(source: str) -> None:
    said = attempt("{% set n = namespace(a=1) %}" + source)
    assert "<" not in said
    assert "globals" not in said or said.startswith("The chat template cannot render these messages: ")


def test_what_templates_ask_for_is_still_there() -> None:
    """Each filter, method and function that published chat templates use."""
    source = (
        "{%- set ns = namespace(found=false, tools=[]) -%}"
        "{%- for m in messages | selectattr('role', 'equalto', 'user') | list -%}"
        "{{ loop.index0 }}{{ m['content'].split('</think>')[-1].lstrip('\\n') | trim | upper }}"
        "{{ m | tojson(indent=2) | length }}|{{ m.items() | list | length }}{{ m.get('role', '') }}"
        "{%- endfor -%}"
        "{{ messages | map(attribute='role') | join(', ') }}|{{ messages[::-1][0].role }}|{{ range(3) | list }}"
        "|{{ 'a-b' | replace('-', '_') }}|{{ '%s=%d' | format('x', 3) }}|{{ 'a{}c'.format('b') }}|{{ 'x' ~ 1 }}"
        "|{{ {'b': 1, 'a': 2} | dictsort }}|{{ [3, 1] | sort | first }}|{{ 'ab\\ncd' | indent(2) }}|{{ 'Ab'.lower() }}"
        "|{{ messages is iterable and messages is not string }}|{{ [1, 2] | sum }}"
        "|{{ 'yes' if messages | map('length') else 'no' }}"
    )
    said = attempt(source)
    assert said == ("0HI39|2useruser|user|[0, 1, 2]|a_b|x=3|abc|x1|[('a', 2), ('b', 1)]|1|ab\n  cd|ab|True|3|yes")
