"""A walk over the single values of a canonical message, compiled: only to where something is asked of them.

Types that lead back to themselves are walked as deep as the message is. Invariant: what is not of its type is passed over; the validator
says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, filled
from contracts.canonical.model import Array, RecursiveRef, Scalar, Type, group

# A value, what the caller hands along, and where it is: text before, template, index (`place` makes a path of them).
Visit = Callable[[Any, Any, str, str, Index], None]


def place(before: str, template: str, index: Index) -> str:
    inside = filled(template, index, 0)
    return f"{before}.{inside}" if before and inside and inside[0] != "[" else before + inside


def compile_walk(made: Type, of: Callable[[Scalar], Visit | None]) -> Callable[[Any, Any], None] | None:
    """`of` tells what is asked of a value of a type; None where nothing is asked of any in this message."""
    known: dict[str, list[_Step | None]] = {}
    walk = _walk(made, "", of, known)
    return None if walk is None else lambda value, context: walk(value, context, "", None)


_Step = Callable[[Any, Any, str, Index], None]


def _walk(
    made: Type, at: str, of: Callable[[Scalar], Visit | None], known: dict[str, list[_Step | None]]
) -> _Step | None:
    if isinstance(made, Scalar):
        visit = of(made)
        return None if visit is None else lambda value, context, before, index: visit(value, context, before, at, index)
    if isinstance(made, RecursiveRef):
        if made.name not in known:
            known[made.name] = []
            known[made.name].append(_walk(made.made, "", of, known))
        cell = known[made.name]

        def again(value: Any, context: Any, before: str, index: Index) -> None:
            if cell[0] is not None:
                cell[0](value, context, place(before, at, index), None)

        return again
    if isinstance(made, Array):
        inner = _walk(made.items, at + "[]", of, known)
        if inner is None:
            return None

        def many(value: Any, context: Any, before: str, index: Index) -> None:
            if isinstance(value, list):
                for number, each in enumerate(value):
                    inner(each, context, before, (index, number))

        return many
    fields = group(made)
    assert fields is not None
    steps = [
        (f.name, step)
        for f in fields.fields
        if (step := _walk(f.type, f"{at}.{f.name}" if at else f.name, of, known)) is not None
    ]
    if not steps:
        return None

    def struct(value: Any, context: Any, before: str, index: Index) -> None:
        if isinstance(value, dict):
            for name, step in steps:
                if name in value:
                    step(value[name], context, before, index)

    return struct
