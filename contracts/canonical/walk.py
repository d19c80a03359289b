"""Compiles a walk over the single values of a canonical message, limited to the values of interest.

Recursive types are walked as deep as the message is. Invariant: a value of the wrong type is skipped; the validator
reports it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, filled
from contracts.canonical.model import Array, RecursiveRef, Scalar, Type, group

# Value, context of the caller, and position: text before, template, index (`place` makes a path of them).
Visit = Callable[[Any, Any, str, str, Index], None]


def place(before: str, template: str, index: Index) -> str:
    """The path of a visited value."""
    inside = filled(template, index, 0)
    return f"{before}.{inside}" if before and inside and inside[0] != "[" else before + inside


def compile_walk(type_: Type, of: Callable[[Scalar], Visit | None]) -> Callable[[Any, Any], None] | None:
    """`of` gives the visitor for a type, or None. Returns None if no value of this message has one."""
    known: dict[str, list[_Step | None]] = {}
    walk = _walk(type_, "", of, known)
    return None if walk is None else lambda value, context: walk(value, context, "", None)


_Step = Callable[[Any, Any, str, Index], None]


def _walk(
    type_: Type, at: str, of: Callable[[Scalar], Visit | None], known: dict[str, list[_Step | None]]
) -> _Step | None:
    if isinstance(type_, Scalar):
        visit = of(type_)
        return None if visit is None else lambda value, context, before, index: visit(value, context, before, at, index)
    if isinstance(type_, RecursiveRef):
        if type_.name not in known:
            known[type_.name] = []
            known[type_.name].append(_walk(type_.target, "", of, known))
        cell = known[type_.name]

        def recursive(value: Any, context: Any, before: str, index: Index) -> None:
            if cell[0] is not None:
                cell[0](value, context, place(before, at, index), None)

        return recursive
    if isinstance(type_, Array):
        inner = _walk(type_.items, at + "[]", of, known)
        if inner is None:
            return None

        def array(value: Any, context: Any, before: str, index: Index) -> None:
            if isinstance(value, list):
                for number, each in enumerate(value):
                    inner(each, context, before, (index, number))

        return array
    fields = group(type_)
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
