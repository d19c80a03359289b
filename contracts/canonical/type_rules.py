"""Checks over a whole set of canonical types: size, depth, number of paths, recursion without an end, equality.

Invariant: each ends after a number of steps that is linear in the types, or at its own bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct, Type
from contracts.wire.jsontext import MAX_DEPTH

MOST_PATHS: Final = 20_000  # of one message: rights and pages list each
MOST_PATHS_OF_ALL: Final = 400_000  # of all messages that a contract exchanges


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


def type_depths(types: Mapping[str, Type]) -> dict[str, int]:
    """How many objects stand within each other in each type; recursion ends. `types` has inner types first."""
    depths: dict[str, int] = {}

    def depth(type_: Type) -> int:
        if isinstance(type_, (Scalar, RecursiveRef)):
            return 0
        if isinstance(type_, Array):
            return depth(type_.items)
        if type_.name in depths and types.get(type_.name) is type_:
            return depths[type_.name]
        return 1 + max((depth(each) for each in _inside(type_)), default=0)

    for name, type_ in types.items():
        depths[name] = depth(type_)
    return depths


def many_paths(messages: Mapping[str, Struct]) -> list[str]:
    """The messages with more than `MOST_PATHS` canonical paths, or that bring their sum above `MOST_PATHS_OF_ALL`.

    A path ends at a type that it is in already. One through more than MAX_DEPTH types counts as too many. Types that
    refer to each other have as many paths as there are orders of the types, so counting stops at the bound.
    """
    left, many = MOST_PATHS_OF_ALL, []
    for name, struct in messages.items():
        most = min(MOST_PATHS, left)
        count = _paths(struct, most)
        if count > most:
            many.append(name)
        else:
            left -= count
    return many


def _paths(type_: Type, most: int) -> int:
    """The number of paths of a type; above `most`, some number that is higher."""
    count, waiting = 0, [(type_, frozenset[str]())]
    while waiting and count <= most:
        each, above = waiting.pop()
        count += 1
        if isinstance(each, Array):
            each = each.items
        if isinstance(each, RecursiveRef):
            each = each.target
        if not isinstance(each, (Scalar, Array)) and each.name not in above:
            if len(above) >= MAX_DEPTH:
                return most + 1
            inside = above | {each.name}
            waiting += [(inner, inside) for inner in _inside(each)]
    return count


def _inside(type_: Struct | Choice) -> list[Type]:
    return [branch.type for branch in type_.branches] if isinstance(type_, Choice) else [f.type for f in type_.fields]


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
