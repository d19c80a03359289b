"""The canonical paths of a message, as mapping rows name them: `info[].area[].areaDesc`, `code[]`.

Invariant: a path is looked up step by step. Nothing lists all paths of types that refer to each other: their number
grows with the factorial of the number of types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Scalar, Struct, Type, group

_LIST: Final = "[]"


@dataclass(frozen=True, slots=True)
class Place:
    """A canonical field as rows see it."""

    field: Field
    path: str
    optional_above: bool
    needed: bool = False  # required by some branch of a choice
    led: frozenset[str] = frozenset()  # recursive types entered on the way to this field

    @property
    def refers(self) -> str:
        """The recursive type that the field, or its list, refers to; else empty."""
        inner = self.field.type.items if isinstance(self.field.type, Array) else self.field.type
        return inner.name if isinstance(inner, RecursiveRef) else ""


@dataclass(frozen=True, slots=True)
class _Inside:
    """The fields of an entered group."""

    fields: Mapping[str, Field]
    optional: bool
    needed: frozenset[str]
    led: frozenset[str]


class Places:
    """The places of one message by their paths: leaves, objects, arrays (`info[]` for the items, `info` for the array).

    A recursive type is entered once on a path; a row with `again` says how it continues.
    """

    def __init__(self, struct: Struct) -> None:
        self._inside: dict[str, _Inside | None] = {"": _Inside(_by_name(struct), False, frozenset(), frozenset())}
        self._known: dict[str, Place] = {}

    def get(self, path: str | None) -> Place | None:
        """The place of a path; None for a path that the message does not have."""
        if path is None:
            return None
        known = self._known.get(path)
        if known is not None:
            return known
        at, parts = "", path.split(".")
        for step in parts[:-1]:
            at = f"{at}.{step}" if at else step
            if self._below(at) is None:
                return None
        return self._place(at, parts[-1])

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.get(path) is not None

    def __getitem__(self, path: str) -> Place:
        place = self.get(path)
        if place is None:
            raise KeyError(path)
        return place

    def walk(self, enters: Callable[[str, Place], bool], at: str = "") -> Iterator[tuple[str, Place]]:
        """The places in the order of the schema. `enters` decides for each group whether its content is walked."""
        inside = self._below(at)
        for name in () if inside is None else inside.fields:
            path = f"{at}.{name}" if at else name
            place = self._place(at, name)
            assert place is not None
            yield path, place
            if isinstance(place.field.type, Array):
                path += _LIST
                yield path, place
            if not isinstance(_single(place), Scalar) and enters(path, place):
                yield from self.walk(enters, path)

    def _place(self, at: str, step: str) -> Place | None:
        """The place of a step in the group at a path whose group is entered."""
        inside, name = self._below(at), step.removesuffix(_LIST)
        field = None if inside is None else inside.fields.get(name)
        if inside is None or field is None or step != name and not isinstance(field.type, Array):
            return None
        path = f"{at}.{name}" if at else name
        place = self._known.get(path)
        if place is None:
            place = self._known[path] = Place(field, path, inside.optional, name in inside.needed, inside.led)
        if step != name:
            self._known[path + _LIST] = place
        return place

    def _below(self, path: str) -> _Inside | None:
        """What is inside the group at a path whose own group is entered; None for values, and for a list without []."""
        if path not in self._inside:
            at, _, step = path.rpartition(".")
            place = self._place(at, step)
            self._inside[path] = None if place is None else _entered(place, step.endswith(_LIST))
        return self._inside[path]


def field_names(struct: Struct) -> frozenset[str]:
    """The names of all fields of a message, at any depth."""
    names: set[str] = set()
    entered: set[int] = set()
    waiting = [struct]
    while waiting:
        each = waiting.pop()
        if id(each) in entered:
            continue
        entered.add(id(each))
        for field in each.fields:
            names.add(field.name)
            inner = field.type.items if isinstance(field.type, Array) else field.type
            if isinstance(inner, RecursiveRef):
                inner = inner.target
            if isinstance(inner, Choice):
                waiting += [branch.struct for branch in inner.branches]
            elif isinstance(inner, Struct):
                waiting.append(inner)
    return frozenset(names)


def _by_name(struct: Struct) -> Mapping[str, Field]:
    return {each.name: each for each in struct.fields}


def _single(place: Place) -> Type:
    return place.field.type.items if isinstance(place.field.type, Array) else place.field.type


def _entered(place: Place, as_item: bool) -> _Inside | None:
    if isinstance(place.field.type, Array) is not as_item:
        return None
    inner, name = _single(place), place.refers
    below = None if name and name in place.led else group(inner)
    if below is None:
        return None
    entered = inner.target if isinstance(inner, RecursiveRef) else inner
    needed = (
        frozenset(e.name for b in entered.branches for e in b.struct.fields if e.required)
        if isinstance(entered, Choice)
        else frozenset()
    )
    return _Inside(
        _by_name(below),
        place.optional_above or not place.field.required or as_item,
        needed,
        place.led | {name} if name else place.led,
    )


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
