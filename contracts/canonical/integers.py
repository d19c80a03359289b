"""Finds integers written as `1.0` in canonical JSON: JSON Schema accepts them, XML does not."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from contracts.canonical.findings import Index, Problems
from contracts.canonical.model import Scalar, Type
from contracts.canonical.walk import Visit, compile_walk, place


def compile_integers(struct: Type) -> Callable[[Any, Problems], None] | None:
    """A check of a message for integers written as `1.0`; None for a message without integers."""
    return compile_walk(struct, _of)


def _of(scalar: Scalar) -> Visit | None:
    return _integer if scalar.kind == "integer" else None


def _integer(value: Any, problems: Problems, before: str, template: str, index: Index) -> None:
    if type(value) is Decimal:
        path = place(before, template, index)
        problems.add(
            path,
            path,
            "number with a point or an exponent",
            "type",
            "a whole number, without quotes and without a point",
        )
