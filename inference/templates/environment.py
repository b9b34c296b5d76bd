"""The Jinja environment in which chat templates run: what transformers gives them, within bounds.

Knows Jinja and how a template could hang or flood the process. Does not know messages, tokens or models.
"""

import string
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from types import CodeType
from typing import Any, NoReturn

import jinja2
from jinja2 import meta, nodes
from jinja2.ext import loopcontrols
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from inference.templates import expected
from inference.templates.compiler import Generation, MeteredCodeGenerator
from inference.templates.errors import TemplateError, stopped
from inference.templates.filters import bounded_filters, bounded_test, join_bounded, made, written
from inference.templates.meter import MAX_SECONDS, Meter
from inference.templates.sizes import is_container

MAX_SOURCE = 100_000  # characters of a template; published ones have up to 30,000
_MAX_BITS = 4096
_LONGEST_TIME_FORMAT = 200
_LONGEST_REFUSAL = 1000
# Methods that no template needs and whose cost does not follow from their arguments.
_FORBIDDEN = frozenset({"encode", "expandtabs", "format_map", "maketrans", "to_bytes", "translate"})
_ELSEWHERE = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """A sandbox that meters every operation that could take long or make much; `metered` begins a rendering."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    code_generator_class = MeteredCodeGenerator

    def __init__(self, clock: Callable[[], datetime], max_seconds: float = MAX_SECONDS) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols], finalize=self.finalized
        )
        self._max_seconds = max_seconds
        self._running = threading.local()
        self.filters = bounded_filters(self._meter)
        tests: dict[str, Any] = self.tests
        self.tests = {name: bounded_test(test, self._meter) for name, test in tests.items()}
        del self.globals["lipsum"]
        self.globals["raise_exception"] = self._refuse
        self.globals["strftime_now"] = lambda format: _formatted(clock(), format)

    @contextmanager
    def metered(self, given: int = 0) -> Iterator[None]:
        """Within it, this thread may compile or render one template. given: characters of its variables."""
        self._running.meter = Meter(given, self._max_seconds)
        try:
            yield
        finally:
            del self._running.meter

    def compiled(self, source: str) -> jinja2.Template:
        """The template; constant parts of it run now. Raises TemplateError, and what Jinja raises, if it is none."""
        if len(source) > MAX_SOURCE:
            raise TemplateError(f"The chat template has {len(source)} characters; at most {MAX_SOURCE} are taken.")
        with self.metered():
            tree = self.parse(source)
            if next(tree.find_all(_ELSEWHERE), None) is not None:
                raise TemplateError("The chat template asks for another template; it has to be one by itself.")
            return self.from_string(tree)

    def variables_of(self, source: str) -> frozenset[str]:
        """The names that a template, which can be compiled, asks for without having set them."""
        with self.metered():
            return frozenset(meta.find_undeclared_variables(self.parse(source)))

    def _compile(self, source: str, filename: str) -> CodeType:
        with warnings.catch_warnings():
            # Python warns of expressions that cannot work, of which a template may have as many as it likes.
            warnings.simplefilter("ignore", SyntaxWarning)
            return super()._compile(source, filename)

    def begin(self) -> None:
        """Called by every loop and every assignment."""
        self._meter().tick()

    def round(self) -> None:
        """Called by every loop round and every macro."""
        self._meter().round()

    def made(self, value: Any) -> Any:
        """Called with every new list, tuple, dict and slice."""
        return made(self._meter(), value)

    def compared(self, value: Any) -> Any:
        """Called with what a comparison gave."""
        self._meter().tick()
        return value

    def finalized(self, value: Any) -> Any:
        """Called with each value before it is written out."""
        written(self._meter(), value)
        return value

    def concat(self, pieces: Iterable[str]) -> str:
        """Called for the whole output, for `{% set %}` blocks and for macros."""
        return join_bounded(self._meter(), pieces)

    def str_join(self, pieces: Iterable[Any]) -> str:
        """Called for `~`."""
        return join_bounded(self._meter(), (str(self.finalized(piece)) for piece in pieces))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        meter = self._meter()
        meter.expect(_result_size(operator, left, right, meter.longest_text))
        return made(meter, super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr not in _FORBIDDEN and super().is_safe_attribute(obj, attr, value)

    def call(self, context: Context, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Called for every call in a template."""
        meter = self._meter()
        meter.tick()
        # A sandboxed `format` wraps the method of the text.
        owner = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if isinstance(owner, str):
            args = tuple(list(value) if _is_iterator(value) else value for value in args)
            expect = expected.METHODS.get(function.__name__)
            meter.expect(expect(owner, args, _own(kwargs), meter.longest_text) if expect else 0)
        return made(meter, super().call(context, function, *args, **kwargs))

    def _refuse(self, message: Any) -> NoReturn:
        raise TemplateError(str(self.finalized(message))[:_LONGEST_REFUSAL])

    def _meter(self) -> Meter:
        meter: Meter = self._running.meter
        return meter


def _own(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without what Jinja's compiler adds to a call."""
    return {name: value for name, value in kwargs.items() if name not in ("_loop_vars", "_block_vars")}


def _is_iterator(value: Any) -> bool:
    return hasattr(value, "__next__")


def _result_size(operator: str, left: Any, right: Any, limit: int) -> float:
    """An upper bound for the size of the result: characters or items; for numbers 0 or far too many."""
    if isinstance(left, int) and isinstance(right, int):
        bits = left.bit_length() * right if operator == "**" else left.bit_length() + right.bit_length()
        return 0 if bits <= _MAX_BITS else limit + 1
    if operator == "%":
        return expected.percent_formatted(left, right, limit) if isinstance(left, str) else 0
    sizes = [len(side) for side in (left, right) if isinstance(side, str) or is_container(side)]
    if operator == "+":
        return sum(sizes)
    factors = [side for side in (left, right) if isinstance(side, int)]
    return sizes[0] * factors[0] if operator == "*" and sizes and factors else 0


def _formatted(now: datetime, format: Any) -> str:
    # The C library takes field widths here.
    if not isinstance(format, str) or len(format) > _LONGEST_TIME_FORMAT or set(format) & set(string.digits):
        raise stopped("it asks for a time in a form that is too long")
    return now.strftime(format)
