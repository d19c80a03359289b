"""Which fields of one message are those of another, by name and type: what an answer repeats of its request.

A value goes with it if both have a top field of that name and type; else to the one field below with the same name and
type; else to the one field of the same code table or pattern. Lists are not looked into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Scalar, Struct, Type

Path = tuple[str, ...]
Pairs = tuple[tuple[Path, Path], ...]


def leaves(struct: Struct, at: Path = ()) -> Iterator[tuple[Path, Scalar]]:
    """The single values of a message, outside lists and choices."""
    for field in struct.fields:
        if isinstance(field.type, Scalar):
            yield (*at, field.name), field.type
        elif isinstance(field.type, Struct):
            yield from leaves(field.type, (*at, field.name))


@lru_cache(maxsize=512)
def pairs(source: Struct, target: Struct) -> Pairs:
    """(path in the source, path in the target) of each top field of the source that the target repeats."""
    there = dict(leaves(target))
    found: list[tuple[Path, Path]] = []
    for field in source.fields:
        to = _place(field, target, there)
        if to is not None and all(to != other for _, other in found):
            found.append(((field.name,), to))
    return tuple(found)


def _place(field: Field, target: Struct, there: Mapping[Path, Scalar]) -> Path | None:
    same = target.field(field.name)
    if same is not None and alike(same.type, field.type):
        return (field.name,)
    if not isinstance(field.type, Scalar):
        return None
    named = [path for path, scalar in there.items() if path[-1] == field.name and scalar.kind == field.type.kind]
    if len(named) == 1:
        return named[0]
    if field.type.pattern is None and field.type.table is None:
        return None
    typed = [path for path, scalar in there.items() if scalar == field.type]
    return typed[0] if len(typed) == 1 else None


def alike(one: Type, other: Type) -> bool:
    """Whether values of both types have the same form; of single values the kind decides."""
    if isinstance(one, Scalar) and isinstance(other, Scalar):
        return one.kind == other.kind and one.table == other.table
    if isinstance(one, Array) and isinstance(other, Array):
        return alike(one.items, other.items)
    return isinstance(one, Struct | Choice | RecursiveRef) and type(one) is type(other) and one.name == other.name


def value_at(message: Any, path: Path) -> Any:
    """None if a step is missing, or absent with a reason."""
    for step in path:
        message = message.get(step) if isinstance(message, dict) else None
    return None if isinstance(message, dict) and set(message) == {"absent"} else message


def with_value(message: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:
    """A copy with another value; groups on the way that are missing stay missing."""
    first, *below = path
    inner = message.get(first)
    if below and not isinstance(inner, dict):
        return dict(message)
    return {**message, first: with_value(inner, tuple(below), value) if below else value}  # type: ignore[arg-type]
