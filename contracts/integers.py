"""Whole numbers in canonical JSON: JSON Schema calls `1.0` an integer, XML does not; so it is found and refused here."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from contracts.model import Many, Scalar, Type
from contracts.plan import Index, Problems, filled


def compile_integers(struct: Type) -> Callable[[Any, Problems], None] | None:
    """Finds what JSON Schema calls an integer and XML does not (`1.0`); None for a message without integers."""
    check = _integers(struct, "")
    return None if check is None else lambda value, problems: check(value, None, problems)


def _integers(made: Type, at: str) -> Callable[[Any, Index, Problems], None] | None:
    if isinstance(made, Scalar):
        if made.kind != "integer":
            return None

        def scalar(value: Any, index: Index, problems: Problems) -> None:
            if type(value) is Decimal:
                path = filled(at, index, 0)
                problems.add(path, path, "number with a point or an exponent", "type", "a whole number, without quotes and without a point")

        return scalar
    if isinstance(made, Many):
        inner = _integers(made.items, at + "[]")
        if inner is None:
            return None

        def many(value: Any, index: Index, problems: Problems) -> None:
            if isinstance(value, list):
                for number, each in enumerate(value):
                    inner(each, (index, number), problems)

        return many
    checks = [(f.name, found) for f in made.fields if (found := _integers(f.type, f"{at}.{f.name}" if at else f.name)) is not None]
    if not checks:
        return None

    def struct(value: Any, index: Index, problems: Problems) -> None:
        if isinstance(value, dict):
            for name, check in checks:
                if name in value:
                    check(value[name], index, problems)

    return struct
