"""The canonical paths of a message, as mapping rows name them: `info[].area[].areaDesc`, `code[]`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Scalar, Struct, Type, group


@dataclass(frozen=True, slots=True)
class Place:
    """A canonical field as rows see it."""

    field: Field
    path: str
    optional_above: bool
    needed: bool = False  # required by some branch of a choice
    led: frozenset[str] = frozenset()  # recursive types entered on the way to this field


def places(struct: Struct) -> dict[str, Place]:
    """Every canonical path of a message: leaves, objects, arrays (`info[]` for the items, `info` for the array)."""
    by_path: dict[str, Place] = {}

    def walk(type_: Struct, at: str, optional: bool, needed: set[str], led: frozenset[str]) -> None:
        for each in type_.fields:
            path = f"{at}.{each.name}" if at else each.name
            place = Place(each, path, optional, each.name in needed, frozenset(led))
            by_path[path] = place
            inner: Type = each.type
            if isinstance(inner, Array):
                by_path[path + "[]"] = place
                path, inner = path + "[]", inner.items
            # A recursive type is entered once; a row with `again` says how it continues.
            name = inner.name if isinstance(inner, RecursiveRef) else ""
            below = None if name and name in led else group(inner)
            if below is not None:
                entered = inner.target if isinstance(inner, RecursiveRef) else inner
                needed = (
                    {e.name for b in entered.branches for e in b.struct.fields if e.required}
                    if isinstance(entered, Choice)
                    else set()
                )
                walk(
                    below,
                    path,
                    optional or not each.required or path.endswith("[]"),
                    needed,
                    led | {name} if name else led,
                )

    walk(struct, "", False, set(), frozenset())
    return by_path


def frame_of(path: str) -> str:
    """The list that contains a path: `info[].area[]` for `info[].area[].code`; empty outside lists."""
    return path[: path.rfind("[]") + 2] if "[]" in path else ""


def keys_of(path: str) -> tuple[str, ...]:
    """The path inside its frame; () for the items of the list themselves."""
    inside = path[len(frame_of(path)) :].lstrip(".")
    return tuple(inside.split(".")) if inside else ()


def scalar_at(place: Place, path: str) -> Scalar | None:
    """The single value at a path, or of the items at `…[]`; None for groups."""
    type_: Type = place.field.type
    if isinstance(type_, Array) and path.endswith("[]"):
        type_ = type_.items
    return type_ if isinstance(type_, Scalar) else None


def typed(value: Any, scalar: Scalar) -> Any:
    """A constant or default of a table as a canonical value; None if its kind is wrong."""
    if scalar.kind == "boolean":
        return value if isinstance(value, bool) else None
    if scalar.kind == "string":
        return value if isinstance(value, str) else None
    if isinstance(value, bool):
        return None
    if scalar.kind == "integer":
        return value if isinstance(value, int) else None
    if isinstance(value, int):
        return value
    try:
        return Decimal(value) if isinstance(value, str) else None
    except ArithmeticError:
        return None
