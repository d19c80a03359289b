"""Generates valid canonical messages from the types: smallest, full, and with absent values.

The result is deterministic. Texts are Vietnamese with diacritics. Codes come from the contract's tables, those without
an end first.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from itertools import cycle
from typing import Any, Final

from contracts.canonical.model import REASONS, Array, Choice, CodeTable, Field, RecursiveRef, Scalar, Struct, Type
from contracts.canonical.patterns import matcher
from contracts.compiled.contract import CompiledContract
from contracts.faces.pages.pattern_words import words
from contracts.wire.jsontext import MAX_DIGITS

_TEXT: Final = "Xã Đông Khê, đường tỉnh 208: nước lũ dâng nhanh; đề nghị bà con khẩn trương sơ tán. "
_TIMES: Final = ("2026-11-24T14:15:30+07:00", "2026-11-24T14:15:30.250+07:00", "2026-11-24T07:15:30Z")
_LONGEST: Final = 10**9
_DEEP: Final = 2  # how often a recursive type is nested in itself
_DEEPEST: Final = 12  # groups within each other, above which no recursive type is entered: JSON has 64 levels
_MANY: Final = 1_000  # values of a message after which a recursive type is made once only
_FULL: Final = 20_000  # values after which any group is made once only
_MOST: Final = 200_000  # values of one message
_BRANCHES: Final = 50
DAY: Final = _TIMES[0][:10]


class Unsatisfiable(Exception):
    """No value was found that keeps all constraints. The message names them."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What to generate: items per list (0: required ones only), branch of a choice, and reasons for absent values."""

    items: int
    branch: int = 0
    reasons: Iterator[str] | None = None


def _leads_back(field: Field) -> bool:
    type_ = field.type.items if isinstance(field.type, Array) else field.type
    return isinstance(type_, RecursiveRef)


class Maker:
    """Generates values of one contract's types. Its methods raise Unsatisfiable.

    Types that refer to each other, and lists in lists, have more values than a message can hold. So a large message
    has each recursive type once, and a larger one each group once, unless it is required.
    """

    def __init__(self, tables: Mapping[str, CodeTable]) -> None:
        self._tables = tables
        self._count = 0
        self._made: set[str] = set()  # names of the groups in the message

    def smallest(self, struct: Struct) -> Any:
        return self._message(struct, _Wish(0))

    def lean(self, struct: Struct, branch: int = 0) -> Any:
        """Every field, one item in each list where allowed, and the given branch of each choice."""
        return self._message(struct, _Wish(1, branch))

    def full(self, struct: Struct) -> Any:
        """Every field, and two items in each list."""
        return self._message(struct, _Wish(2))

    def absent(self, struct: Struct) -> Any:
        """Every absentable field is absent, with each reason in turn."""
        return self._message(struct, _Wish(1, 0, cycle(REASONS)))

    def _message(self, struct: Struct, wish: _Wish) -> Any:
        self._count, self._made = 0, set()
        return self._value(struct, wish, ())

    def _left_out(self, field: Field, owner: Struct, above: tuple[str, ...]) -> bool:
        """Whether a field is left out unless it is required."""
        type_ = field.type.items if isinstance(field.type, Array) else field.type
        if isinstance(type_, Scalar):
            return False
        again = type_.name in self._made
        if not isinstance(type_, RecursiveRef):
            return again and self._count > _FULL
        return above.count(owner.name) >= _DEEP - 1 or len(above) >= _DEEPEST or again and self._count > _MANY

    def _value(self, type_: Type, wish: _Wish, above: tuple[str, ...]) -> Any:
        self._count += 1
        if self._count > _MOST:
            raise Unsatisfiable(f"more than {_MOST} values are required")
        if isinstance(type_, RecursiveRef):
            return self._value(type_.target, wish, above)
        if isinstance(type_, Choice):
            choices = type_.branches
            if above.count(type_.name) >= _DEEP:
                choices = (
                    tuple(
                        each for each in choices if not any(f.required and _leads_back(f) for f in each.struct.fields)
                    )
                    or choices
                )
            branch = choices[wish.branch % len(choices)]
            value = self._value(branch.type, wish, (*above, type_.name))
            return value | {type_.discriminator: branch.values[0]}
        if isinstance(type_, Struct):
            value = {}
            self._made.add(type_.name)
            for field in type_.fields:
                deep = self._left_out(field, type_, above)
                if field.absentable and wish.reasons is not None:
                    value[field.name] = {"absent": next(wish.reasons)}
                elif field.required or wish.items and not deep:
                    value[field.name] = self._value(field.type, wish if not deep else _Wish(0), (*above, type_.name))
            return value
        if isinstance(type_, Array):
            items = min(wish.items, 1) if self._count > _FULL else wish.items
            count = max(type_.least, items if type_.most is None else min(items, type_.most))
            return [self._value(type_.items, wish, above) for _ in range(count)]
        return self.scalar(type_, wish.items > 0)

    def scalar(self, scalar: Scalar, full: bool) -> Any:
        if scalar.kind == "boolean":
            return full
        if scalar.kind in ("integer", "number"):
            return number(scalar, full)
        texts = [text for text in self._texts(scalar, full) if fits(scalar, text)]
        if not texts:
            raise Unsatisfiable(f"no text found for {scalar}")
        return texts[0]

    def _texts(self, scalar: Scalar, full: bool) -> list[str]:
        least, most = scalar.min_length or 0, _LONGEST if scalar.max_length is None else scalar.max_length
        if scalar.table is not None:
            rows = sorted(
                self._tables[scalar.table].rows,
                key=lambda row: bool(row.valid_until or row.replaced_by or row.valid_from > DAY),
            )
            return [row.code for row in rows]
        if scalar.binary:
            octets = _TEXT.encode() * (least // len(_TEXT) + 1)
            return [
                base64.b64encode(octets[: size * 3]).decode()
                for size in ((8, 1, least // 4, 0) if full else (least // 4, 0, 1))
            ]
        if scalar.values:
            return list(reversed(scalar.values)) if full else list(scalar.values)
        if scalar.format == "date-time":
            return [*_TIMES, *(words(scalar.pattern, least, most) if scalar.pattern else ())]
        if scalar.format == "date":
            return ["2026-11-24"]
        if scalar.pattern is not None:
            candidates = words(scalar.pattern, least, most)
            few = [text for text, _ in zip(candidates, range(4), strict=False)]
            return list(reversed(few)) if full else few
        length = min(most, max(least, 40)) if full else least
        return [(_TEXT * (length // len(_TEXT) + 1))[:length]]


def fits(scalar: Scalar, text: str) -> bool:
    return (
        (not scalar.values or text in scalar.values)
        and (scalar.pattern is None or matcher(scalar.pattern)(text))
        and (scalar.min_length or 0) <= len(text) <= (_LONGEST if scalar.max_length is None else scalar.max_length)
    )


EXACT: Final = Context(prec=2 * MAX_DIGITS)  # more digits than a bound may have


def number(scalar: Scalar, full: bool) -> int | Decimal:
    """The lower bound, or the upper one where `full`; near 1 without bounds."""
    with localcontext(EXACT):
        return _number(scalar, full)


def _number(scalar: Scalar, full: bool) -> int | Decimal:
    step = Decimal(1) if scalar.kind == "integer" else Decimal("0.5")
    low = (
        scalar.minimum
        if scalar.minimum is not None
        else None
        if scalar.exclusive_minimum is None
        else scalar.exclusive_minimum + step
    )
    high = (
        scalar.maximum
        if scalar.maximum is not None
        else None
        if scalar.exclusive_maximum is None
        else scalar.exclusive_maximum - step
    )
    if scalar.kind == "integer":
        low = None if low is None else low.to_integral_value("ROUND_CEILING")
        high = None if high is None else high.to_integral_value("ROUND_FLOOR")
    elif low is not None and high is not None and low > high:  # the bounds are less than a step apart
        low = high = ((scalar.exclusive_minimum or low) + (scalar.exclusive_maximum or high)) / 2
    usual = Decimal(1) if scalar.kind == "integer" else Decimal("12.50")
    if full:
        chosen = high if high is not None else max(usual, low if low is not None else usual)
    else:
        chosen = low if low is not None else min(usual, high if high is not None else usual)
    if low is not None and high is not None and low > high:
        raise Unsatisfiable(f"no number found for {scalar}")
    return int(chosen) if scalar.kind == "integer" else chosen


def wholes(maker: Maker, struct: Struct) -> list[Any]:
    """The lean message with the first branches of its choices, then with each other branch."""
    messages = [maker.lean(struct)]
    while len(messages) < _BRANCHES and (other := maker.lean(struct, len(messages))) not in messages:
        messages.append(other)
    return messages


def valid(compiled: CompiledContract, message: str) -> dict[str, Any]:
    """`smallest`, `full`, one message for each further branch of a choice, and `absent` where a field may be absent."""
    maker, struct = Maker(compiled.tables), compiled.messages[message]
    messages = {"smallest": maker.smallest(struct), "full": maker.full(struct)}
    lean, *others = wholes(maker, struct)
    messages |= {f"choice {number}": other for number, other in enumerate(others, 2)}
    absent = maker.absent(struct)
    return messages | ({"absent": absent} if absent != lean else {})
