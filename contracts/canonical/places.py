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
    needed: bool = False  # of a choice: some branch requires it
    led: frozenset[str] = frozenset()  # types that were led back to, on the way here


def places(struct: Struct) -> dict[str, Place]:
    """Every canonical path of a message: leaves, objects, arrays (`info[]` for the items, `info` for the array)."""
    found: dict[str, Place] = {}

    def walk(made: Struct, at: str, optional: bool, needed: set[str], led: frozenset[str]) -> None:
        for each in made.fields:
            path = f"{at}.{each.name}" if at else each.name
            place = Place(each, path, optional, each.name in needed, frozenset(led))
            found[path] = place
            inner: Type = each.type
            if isinstance(inner, Array):
                found[path + "[]"] = place
                path, inner = path + "[]", inner.items
            # What leads back to itself is opened once: how it goes on, a row says with `again`.
            name = inner.name if isinstance(inner, RecursiveRef) else ""
            below = None if name and name in led else group(inner)
            if below is not None:
                chosen = inner.made if isinstance(inner, RecursiveRef) else inner
                needed = (
                    {e.name for b in chosen.branches for e in b.struct.fields if e.required}
                    if isinstance(chosen, Choice)
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
    return found


def frame_of(path: str) -> str:
    """The list whose items a path belongs to: `info[].area[]` of `info[].area[].code`; "" for what is in no list."""
    return path[: path.rfind("[]") + 2] if "[]" in path else ""


def keys_of(path: str) -> tuple[str, ...]:
    """The path inside its frame; () for the items of a list themselves."""
    inside = path[len(frame_of(path)) :].lstrip(".")
    return tuple(inside.split(".")) if inside else ()


def scalar_at(place: Place, path: str) -> Scalar | None:
    made: Type = place.field.type
    if isinstance(made, Array) and path.endswith("[]"):
        made = made.items
    return made if isinstance(made, Scalar) else None


def typed(value: Any, scalar: Scalar) -> Any:
    """A constant or default of a table as a canonical value; None where it is of another kind."""
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
