"""One-way rows: a JSONata expression over the foreign or the canonical message.

An expression fills a canonical field, or a place of the format. The reverse direction is not possible, and `check`
reports this as a loss.
Invariant: an expression is a function of its message alone: no clock, no randomness, bounded in time and depth.
The bound is checked at each step of an expression, so a single step must be short. Patterns are refused, because their
time grows with the text of the sender. Ranges and padding are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final

from lxml import etree

from contracts.canonical.findings import NotExpressible, Problems, kind_of
from contracts.canonical.model import Scalar
from contracts.mapping.frames import setter
from contracts.mapping.plan import CustomBinding, Derived, Leaf
from contracts.mapping.value_formats import TEXT, Media, plain

_IMPURE: Final = re.compile(r"\$(now|millis|random|shuffle|eval)\b")
_MILLISECONDS: Final = 500
_DEPTH: Final = 100
_MOST: Final = 10_000  # numbers in a range, characters of padding


class Wrong(Exception):
    """Why an expression cannot be used, or failed on a message."""


def compiled(expression: str) -> Callable[[Any], Any]:
    """The expression as a function of a message of plain values; it returns None for no result. Raises Wrong."""
    from jsonata.jexception import JException  # imported only where a table has such a row

    impure = _IMPURE.search(expression)
    if impure is not None:
        raise Wrong(f"an expression without {impure[0]}: the same message always makes the same value")
    try:
        parsed = _bounded()(expression, _no_pattern)
    except (JException, RecursionError) as error:
        raise Wrong(f"JSONata: {error}") from None

    def evaluate(message: Any) -> Any:
        frame = parsed.create_frame()
        frame.set_runtime_bounds(_MILLISECONDS, _DEPTH)
        try:
            return parsed.evaluate(message, frame)
        except (
            JException,
            ArithmeticError,
            ValueError,
            TypeError,
            LookupError,
            RecursionError,
            AttributeError,
            MemoryError,
        ):
            raise Wrong("a message that the expression can be evaluated on") from None

    return evaluate


@cache
def _bounded() -> Any:
    """JSONata with short single steps."""
    from jsonata import Jsonata
    from jsonata.functions import Functions
    from jsonata.jexception import JException

    def short(number: Any) -> None:
        if isinstance(number, (int, float)) and abs(number) > _MOST:
            raise JException("D2014", -1, number)

    class Short(Functions):  # type: ignore[misc]
        @staticmethod
        def pad(string: Any, width: Any, char: Any) -> Any:
            short(width)
            return Functions.pad(string, width, char)

        @staticmethod
        def distinct(array: Any) -> Any:
            if not isinstance(array, list):
                return array
            first: dict[Any, Any] = {}
            for each in array:
                first.setdefault(_frozen(each), each)
            return type(array)(first.values())

    class Bounded(Jsonata):  # type: ignore[misc]
        def __init__(self, expression: str, patterns: Callable[..., Any]) -> None:
            super().__init__(expression, patterns)
            self.environment.bind("pad", Jsonata.JNativeFunction("pad", "<s-ns?:s>", Short, "pad"))
            self.environment.bind("distinct", Jsonata.JNativeFunction("distinct", "<x:x>", Short, "distinct"))

        def evaluate_range_expression(self, lhs: Any, rhs: Any) -> Any:
            if isinstance(lhs, (int, float)) and isinstance(rhs, (int, float)):
                short(rhs - lhs)
            return super().evaluate_range_expression(lhs, rhs)

    return Bounded


def _frozen(value: Any) -> Any:
    """A hashable key, equal for equal values. Numbers become text, because senders can choose numbers with equal
    hashes.
    """
    if isinstance(value, dict):
        return frozenset((name, _frozen(each)) for name, each in value.items())
    if isinstance(value, list):
        return ("[", *map(_frozen, value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return ("1", str(int(value) if isinstance(value, bool) else value)) if isinstance(value, (int, float)) else value


def _no_pattern(pattern: str, flags: Any) -> Any:
    raise Wrong(
        "an expression without patterns (/…/): their time grows with what a sender writes; $contains, "
        "$split and $substringBefore do without"
    )


def into_field(expression: str, scalar: Scalar, canonical: str, media: Media, namespaces: Mapping[str, str]) -> Derived:
    """A canonical field computed from the foreign message. Raises Wrong."""
    evaluate, keys = compiled(expression), tuple(canonical.split("."))
    put = setter(keys)
    prefixes = {uri: prefix for prefix, uri in namespaces.items()}

    def make(message: Any, into: Any, problems: Problems) -> None:
        try:
            value = evaluate(_of_element(message, prefixes) if media == "xml" else _plain(message))
        except Wrong as wrong:
            problems.add("", canonical, "an expression that failed", "expression", str(wrong))
            return
        if value is None:
            return
        typed = _typed(value, scalar)
        if typed is None:
            problems.add("", canonical, kind_of(value), "expression", f"an expression that makes a {scalar.kind}")
        else:
            put(into, typed)

    return Derived(canonical, keys, make)


def into_place(expression: str, here: str, media: Media) -> Leaf:
    """The leaf of a place computed from the canonical message. Raises Wrong."""
    evaluate = compiled(expression)

    def write_value(message: Any) -> Any:
        try:
            value = evaluate(_plain(message))
        except Wrong as wrong:
            raise NotExpressible(here, "", "an expression that failed", "expression", str(wrong)) from None
        if isinstance(value, float):
            value = _exact(value)
        if value is None or isinstance(value, str) or media == "json" and isinstance(value, (bool, int, Decimal)):
            return value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, (int, Decimal)):
            return plain(value)
        raise NotExpressible(here, "", kind_of(value), "expression", "an expression that makes one value")

    # The place is not read: its value derives from other rows.
    return Leaf(("\0",), TEXT, "", here, special=CustomBinding(lambda *_: None, write_value))


def _typed(value: Any, scalar: Scalar) -> Any:
    if isinstance(value, float):
        value = _exact(value)
    if scalar.kind == "boolean":
        return value if isinstance(value, bool) else None
    if scalar.kind == "string":
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)):
        return None
    if scalar.kind == "integer":
        return int(value) if value == int(value) else None
    return value


def _exact(value: float) -> Decimal | int:
    number = Decimal(repr(value))
    return int(number) if number == number.to_integral_value() else number


def _plain(value: Any) -> Any:
    """Numbers as JSONata knows them: decimals become floats."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return (
        {name: _plain(each) for name, each in value.items() if name[:1] != "\0"} if isinstance(value, dict) else value
    )


def _of_element(element: Any, prefixes: Mapping[str, str]) -> Any:
    """An element as a JSONata object.

    Members are `prefix:name`, a list where a name repeats, `@name` for attributes and `#text` for text beside them.
    """
    members: dict[str, Any] = {f"@{_shown(name, prefixes)}": text for name, text in element.attrib.items()}
    for child in element:
        if isinstance(child, etree._Comment):
            continue
        name, value = _shown(child.tag, prefixes), _of_element(child, prefixes)
        if name not in members:
            members[name] = value
        elif isinstance(members[name], list):
            members[name].append(value)
        else:
            members[name] = [members[name], value]
    text = element.text or ""
    if not members:
        return text
    if text.strip():
        members["#text"] = text
    return members


def _shown(name: Any, prefixes: Mapping[str, str]) -> str:
    space, _, local = str(name)[1:].partition("}") if str(name).startswith("{") else ("", "", str(name))
    prefix = prefixes.get(space, "")
    return f"{prefix}:{local}" if prefix else local
