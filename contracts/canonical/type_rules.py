"""Checks over a whole set of canonical types: size, recursion without an end, equality."""

from __future__ import annotations

from collections.abc import Mapping

from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct, Type


def same_type(one: Type, other: Type) -> bool:
    if isinstance(one, Scalar) or isinstance(other, Scalar):
        return one == other
    if isinstance(one, Array) and isinstance(other, Array):
        return (one.least, one.most) == (other.least, other.most) and same_type(one.items, other.items)
    return not isinstance(one, Array) and not isinstance(other, Array) and one.name == other.name


def type_sizes(types: Mapping[str, Type]) -> dict[str, int]:
    """The number of values and groups a message of each type can have; lists count once, recursion ends."""
    sizes: dict[int, int] = {}

    def size(type_: Type) -> int:
        if id(type_) not in sizes:
            if isinstance(type_, Array):
                inner = size(type_.items)
            elif isinstance(type_, Choice):
                inner = sum(size(branch.type) for branch in type_.branches)
            else:
                inner = sum(size(each.type) for each in type_.fields) if isinstance(type_, Struct) else 0
            sizes[id(type_)] = 1 + inner
        return sizes[id(type_)]

    return {name: size(type_) for name, type_ in types.items()}


def endless_types(types: Mapping[str, Type]) -> list[str]:
    """Types without a finite message, since each needs another of its kind inside."""
    finite: set[str] = set()

    def can_end(type_: Type) -> bool:
        if isinstance(type_, Scalar):
            return True
        if isinstance(type_, Array):
            return type_.least == 0 or can_end(type_.items)
        if isinstance(type_, Choice):
            return any(can_end(branch.type) for branch in type_.branches)
        if isinstance(type_, RecursiveRef) or type_.name in types:
            return type_.name in finite
        return all(can_end(each.type) for each in type_.fields if each.required)

    def is_finite(type_: Type) -> bool:
        return (
            all(can_end(each.type) for each in type_.fields if each.required)
            if isinstance(type_, Struct)
            else can_end(type_)
        )

    while more := {name for name, type_ in types.items() if name not in finite and is_finite(type_)}:
        finite |= more
    return [name for name in types if name not in finite]
