"""Valid canonical messages made from the types: the smallest, a full one, and one whose values are absent. The same ones each time.

Texts are Vietnamese, with every diacritic; codes are taken from the contract's own tables, those first that have no end.
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
_DEEP: Final = 2  # how often a type that leads back to itself stands in itself
_BRANCHES: Final = 50
DAY: Final = _TIMES[0][:10]


class Unsatisfiable(Exception):
    """Nothing was found that keeps all constraints of one value; it names the constraints."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """How much there is to be: items in a list (0: only what must be), which branch of a choice, and reasons where values are absent."""

    items: int
    branch: int = 0
    reasons: Iterator[str] | None = None


def _leads_back(field: Field) -> bool:
    made = field.type.items if isinstance(field.type, Array) else field.type
    return isinstance(made, RecursiveRef)


class Maker:
    """Makes values of one contract's types."""

    def __init__(self, tables: Mapping[str, CodeTable]) -> None:
        self._tables = tables

    def smallest(self, made: Struct) -> Any:
        return self._value(made, _Wish(0), ())

    def lean(self, made: Struct, branch: int = 0) -> Any:
        """Every field, and one item in each list that may have so few; of each choice the branch of that number."""
        return self._value(made, _Wish(1, branch), ())

    def full(self, made: Struct) -> Any:
        """Every field, and two items in each list."""
        return self._value(made, _Wish(2), ())

    def absent(self, made: Struct) -> Any:
        """Everything that may be absent is, with each reason in turn."""
        return self._value(made, _Wish(1, 0, cycle(REASONS)), ())

    def _value(self, made: Type, wish: _Wish, above: tuple[str, ...]) -> Any:
        if isinstance(made, RecursiveRef):
            return self._value(made.target, wish, above)
        if isinstance(made, Choice):
            choices = made.branches
            if above.count(made.name) >= _DEEP:
                choices = (
                    tuple(
                        each for each in choices if not any(f.required and _leads_back(f) for f in each.struct.fields)
                    )
                    or choices
                )
            branch = choices[wish.branch % len(choices)]
            value = self._value(branch.type, wish, (*above, made.name))
            return value | {made.discriminator: branch.values[0]}
        if isinstance(made, Struct):
            value = {}
            for field in made.fields:
                deep = _leads_back(field) and above.count(made.name) >= _DEEP - 1
                if field.absentable and wish.reasons is not None:
                    value[field.name] = {"absent": next(wish.reasons)}
                elif field.required or wish.items and not deep:
                    value[field.name] = self._value(field.type, wish if not deep else _Wish(0), (*above, made.name))
            return value
        if isinstance(made, Array):
            count = max(made.least, wish.items if made.most is None else min(wish.items, made.most))
            return [self._value(made.items, wish, above) for _ in range(count)]
        return self.scalar(made, wish.items > 0)

    def scalar(self, made: Scalar, full: bool) -> Any:
        if made.kind == "boolean":
            return full
        if made.kind in ("integer", "number"):
            return number(made, full)
        found = [text for text in self._texts(made, full) if fits(made, text)]
        if not found:
            raise Unsatisfiable(f"no text found for {made}")
        return found[0]

    def _texts(self, made: Scalar, full: bool) -> list[str]:
        least, most = made.min_length or 0, _LONGEST if made.max_length is None else made.max_length
        if made.table is not None:
            rows = sorted(
                self._tables[made.table].rows,
                key=lambda row: bool(row.valid_until or row.replaced_by or row.valid_from > DAY),
            )
            return [row.code for row in rows]
        if made.binary:
            octets = _TEXT.encode() * (least // len(_TEXT) + 1)
            return [
                base64.b64encode(octets[: size * 3]).decode()
                for size in ((8, 1, least // 4, 0) if full else (least // 4, 0, 1))
            ]
        if made.values:
            return list(reversed(made.values)) if full else list(made.values)
        if made.format == "date-time":
            return [*_TIMES, *(words(made.pattern, least, most) if made.pattern else ())]
        if made.format == "date":
            return ["2026-11-24"]
        if made.pattern is not None:
            found = words(made.pattern, least, most)
            few = [text for text, _ in zip(found, range(4), strict=False)]
            return list(reversed(few)) if full else few
        length = min(most, max(least, 40)) if full else least
        return [(_TEXT * (length // len(_TEXT) + 1))[:length]]


def fits(made: Scalar, text: str) -> bool:
    return (
        (not made.values or text in made.values)
        and (made.pattern is None or matcher(made.pattern)(text))
        and (made.min_length or 0) <= len(text) <= (_LONGEST if made.max_length is None else made.max_length)
    )


EXACT: Final = Context(prec=2 * MAX_DIGITS)  # more digits than a bound may have


def number(made: Scalar, full: bool) -> int | Decimal:
    """The lower bound, or the upper one where it is full; near 1 where there is none."""
    with localcontext(EXACT):
        return _number(made, full)


def _number(made: Scalar, full: bool) -> int | Decimal:
    step = Decimal(1) if made.kind == "integer" else Decimal("0.5")
    low = (
        made.minimum
        if made.minimum is not None
        else None
        if made.exclusive_minimum is None
        else made.exclusive_minimum + step
    )
    high = (
        made.maximum
        if made.maximum is not None
        else None
        if made.exclusive_maximum is None
        else made.exclusive_maximum - step
    )
    if made.kind == "integer":
        low = None if low is None else low.to_integral_value("ROUND_CEILING")
        high = None if high is None else high.to_integral_value("ROUND_FLOOR")
    elif low is not None and high is not None and low > high:  # between two bounds that are less than a step apart
        low = high = ((made.exclusive_minimum or low) + (made.exclusive_maximum or high)) / 2
    usual = Decimal(1) if made.kind == "integer" else Decimal("12.50")
    if full:
        chosen = high if high is not None else max(usual, low if low is not None else usual)
    else:
        chosen = low if low is not None else min(usual, high if high is not None else usual)
    if low is not None and high is not None and low > high:
        raise Unsatisfiable(f"no number found for {made}")
    return int(chosen) if made.kind == "integer" else chosen


def wholes(maker: Maker, struct: Struct) -> list[Any]:
    """The lean message with the first branches of its choices, then with the others."""
    made = [maker.lean(struct)]
    while len(made) < _BRANCHES and (other := maker.lean(struct, len(made))) not in made:
        made.append(other)
    return made


def valid(compiled: CompiledContract, message: str) -> dict[str, Any]:
    """`smallest`, `full`, one for each further branch of a choice, and, where something may be absent, `absent`."""
    maker, struct = Maker(compiled.tables), compiled.messages[message]
    made = {"smallest": maker.smallest(struct), "full": maker.full(struct)}
    lean, *others = wholes(maker, struct)
    made |= {f"choice {number}": other for number, other in enumerate(others, 2)}
    absent = maker.absent(struct)
    return made | ({"absent": absent} if absent != lean else {})
