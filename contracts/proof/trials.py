"""Variants of a sample with one change each, on which `check` tries the laws of every table.

The changes: a field left out, a reason for absence, every code of a list, numbers and times at their limits, difficult
texts, a list with one item more or less. The same sample gives the same variants.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from contracts.canonical.model import REASONS, Array, Field, Scalar, Struct, Type, group

MOST: Final = 600
_TEXTS: Final = (
    "",
    "-",
    "0",
    "00123",
    " giữ  nguyên ",
    "Ổ gà, ngõ 5; <b>&\"'|/",
    "dòng một\r\ndòng hai\t",
    "true",
    "null",
    "1,5",
)
_TIMES: Final = (
    "2025-06-30T23:59:59+07:00",
    "2025-07-01T00:00:00+07:00",
    "1999-12-31T20:30:15-05:00",
    "2026-01-01T00:00:00Z",
    "2026-10-05T08:30:00.123456789+07:00",
)
_DAYS: Final = ("2024-02-29", "1000-01-01", "9999-12-31")


def variants(struct: Struct, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The value, then one change after the other; not all of them are valid."""
    yield value
    for number, changed in enumerate(_of_struct(struct, value)):
        if number >= MOST:
            return
        yield changed


def _of_struct(struct: Struct, value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for each in struct.fields:
        if each.name not in value:
            continue
        if not each.required:
            yield {name: item for name, item in value.items() if name != each.name}
        for item in _of_field(each, value[each.name]):
            yield {**value, each.name: item}


def _of_field(field: Field, value: Any) -> Iterator[Any]:
    if field.absentable:
        yield from ({"absent": reason} for reason in REASONS)
    if not (isinstance(value, dict) and "absent" in value):
        yield from _of(field.type, value)


def _of(type_: Type, value: Any) -> Iterator[Any]:
    if isinstance(type_, Scalar):
        yield from (each for each in _others(type_) if each != value)
    elif isinstance(type_, Array):
        if isinstance(value, list):
            yield from _of_list(type_, value)
    elif isinstance(value, dict) and (fields := group(type_)) is not None:
        yield from _of_struct(fields, value)


def _of_list(array: Array, value: list[Any]) -> Iterator[list[Any]]:
    yield value[:1]
    yield [*value, *value[:1]]
    if not array.least:
        yield []
    for number, each in enumerate(value[:2]):
        for changed in _of(array.items, each):
            yield [*value[:number], changed, *value[number + 1 :]]


def _others(scalar: Scalar) -> Iterator[Any]:
    if scalar.kind == "boolean":
        yield from (True, False)
    elif scalar.kind == "string":
        yield from scalar.values[:40] or {"date-time": _TIMES, "date": _DAYS}.get(scalar.format or "", _TEXTS)
        if scalar.max_length is not None and scalar.max_length <= 4_000 and not scalar.values:
            yield "ữ" * scalar.max_length
    else:
        bounds = (scalar.minimum, scalar.maximum, scalar.exclusive_minimum, scalar.exclusive_maximum)
        yield from (each for bound in bounds if bound is not None for each in (bound, bound + 1, bound - 1))
        yield from (0, 1, -1, 7, 10**20)
        if scalar.kind == "number":
            yield from (Decimal("0.10"), Decimal("-12.345"), Decimal("1E+2"), Decimal("0.0000001"))
