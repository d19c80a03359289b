"""The canonical paths of a message, as mapping rows name them: `info[].area[].areaDesc`, `code[]`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from contracts.model import Field, Many, Scalar, Struct, Type


@dataclass(frozen=True, slots=True)
class Place:
    """A canonical field as rows see it."""

    field: Field
    path: str
    optional_above: bool


def places(struct: Struct) -> dict[str, Place]:
    """Every canonical path of a message: leaves, objects, arrays (`info[]` for the items, `info` for the array)."""
    found: dict[str, Place] = {}

    def walk(made: Struct, at: str, optional: bool) -> None:
        for each in made.fields:
            path = f"{at}.{each.name}" if at else each.name
            place = Place(each, path, optional)
            found[path] = place
            inner: Type = each.type
            if isinstance(inner, Many):
                found[path + "[]"] = place
                path, inner = path + "[]", inner.items
            if isinstance(inner, Struct):
                walk(inner, path, optional or not each.required or path.endswith("[]"))

    walk(struct, "", False)
    return found


def scalar_at(place: Place, path: str) -> Scalar | None:
    made: Type = place.field.type
    if isinstance(made, Many) and path.endswith("[]"):
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
