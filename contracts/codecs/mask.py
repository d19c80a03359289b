"""Compiles the field masks of grants: a hidden field becomes `{"absent": "not-permitted"}`.

Fields: `*`, canonical paths that are visible (with all below them), and `!path` for hidden ones, with or without
brackets (`info.area`, `info[].area`). A recursive field is treated as the field it refers to: `!units.phone` hides the
phone of units below units too, at every depth. `!@personal` hides what the contract in force marks as personal; no
field has such a name.
Invariant: the result never contains a hidden value, nor a field that the contract in force lacks (as after a version
was withdrawn).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Struct, group
from contracts.canonical.personal import marked_fields
from contracts.mapping.plan import Plan

Mask = Callable[[dict[str, Any]], dict[str, Any]]

PERSONAL: Final = "!@personal"
_HIDDEN = "not-permitted"


class FieldSet:
    """Which paths of one message are hidden."""

    def __init__(self, struct: Struct, fields: Sequence[str]) -> None:
        self.struct = struct
        self.shown = {_plain(each) for each in fields if not each.startswith("!") and each != "*"}
        self.hidden = {_first(struct, _plain(each[1:])) for each in fields if each.startswith("!") and each != PERSONAL}
        if PERSONAL in fields:
            self.hidden |= {_plain(each.path) for each in marked_fields(struct) if each.personal}
        self._above = [
            {above for each in paths for above in _around(each)} - paths for paths in (self.shown, self.hidden)
        ]
        # Only denials, or a star: everything else is visible.
        self.all = "*" in fields or not self.shown
        self.whole = self.all and not self.hidden and PERSONAL not in fields

    def state(self, path: str) -> bool | None:
        """True: visible with all below; False: hidden with all below; None: it depends on what is below."""
        around = _around(path)
        if not self.hidden.isdisjoint(around):
            return False
        above_shown, above_hidden = self._above
        if self.all or not self.shown.isdisjoint(around):
            return None if path in above_hidden else True
        return None if path in above_shown else False


@dataclass(frozen=True, slots=True)
class _Group:
    """A group of the message; `above` contains it.

    `paths` are its own, and those that its recursive branches refer to.
    """

    type: Struct | Choice
    paths: tuple[str, ...]
    above: _Group | None = None

    def around(self) -> Iterator[_Group]:
        """This group and all that contain it."""
        yield self
        if self.above is not None:
            yield from self.above.around()

    def fields(self) -> tuple[Field, ...]:
        return (self.type.union if isinstance(self.type, Choice) else self.type).fields

    def path(self, name: str) -> str:
        return _join(self.paths[0], name)

    def seen(self, views: Sequence[FieldSet], name: str) -> bool | None:
        """A field is visible if one view shows it, whatever the others hide."""
        states = {self.state(each, name) for each in views}
        return True if True in states else None if None in states else False

    def state(self, chosen: FieldSet, name: str) -> bool | None:
        """The strictest state of the field at each of the paths that have it."""
        states = {chosen.state(path) for each in self.paths if _exists(chosen.struct, path := _join(each, name))}
        return False if False in states else None if None in states else True

    def below(self, field: Field) -> _Group | None:
        """The group of a field: an enclosing one for a recursive field; None for single values."""
        type_ = field.type.items if isinstance(field.type, Array) else field.type
        type_ = type_.target if isinstance(type_, RecursiveRef) else type_
        if not isinstance(type_, (Struct, Choice)):
            return None
        enclosing = next((each for each in self.around() if type_ in each.types()), None)
        if enclosing is not None:
            return enclosing
        branches = [branch.struct for branch in type_.branches] if isinstance(type_, Choice) else []
        also = [
            path for each in self.around() if any(branch in each.types() for branch in branches) for path in each.paths
        ]
        return _Group(type_, (self.path(field.name), *also), self)

    def types(self) -> list[Struct | Choice]:
        return (
            [self.type, *(branch.struct for branch in self.type.branches)]
            if isinstance(self.type, Choice)
            else [self.type]
        )


def check_fields(struct: Struct, fields: Sequence[str], beside: Sequence[Struct] = ()) -> list[str]:
    """Faults of a list of fields: paths that do not exist, hidden fields that are not absentable. A path may be one of
    the messages `beside`, which are shown with this one.
    """
    problems: list[str] = []
    named = [each for each in fields if each != PERSONAL]
    for each in named:
        path = _plain(each.removeprefix("!"))
        if each != "*" and not _exists(struct, path):
            if any(_exists(other, path) for other in beside):
                continue
            problems.append(f"{each}: a path that {struct.name} does not have")
        elif each != "*" and (first := _first(struct, path)) != path:
            problems.append(f"{each}: it leads back to itself: {first} means it at every depth")
    if not fields:
        problems.append("no field at all: write * or the fields that may be seen")
    if not problems:
        refused = [path for path, field in _hidden_fields(struct, named) if not field.absentable]
        # What a later version marks can be hidden too, if not as absent, then by leaving it out.
        refused += unhidable(struct, fields)
        problems += [
            f"{path}: hidden, but the contract does not declare it absentable" for path in dict.fromkeys(refused)
        ]
    return problems


def hidden_paths(struct: Struct, *views: Sequence[str]) -> list[str]:
    """The fields that a reader sees as not permitted, at their first occurrence, without those below."""
    return [path for path, field in _hidden_fields(struct, *views) if field.absentable]


def unhidable(struct: Struct, *views: Sequence[str]) -> list[str]:
    """The fields that these lists hide and that a message can neither mark as absent nor lack."""
    return [path for path, field in _hidden_fields(struct, *views) if field.required and not field.absentable]


def _hidden_fields(struct: Struct, *views: Sequence[str]) -> list[tuple[str, Field]]:
    return list(_hidden(_Group(struct, ("",)), [FieldSet(struct, fields) for fields in views]))


def _hidden(at: _Group, views: Sequence[FieldSet]) -> Iterator[tuple[str, Field]]:
    for each in at.fields():
        state, below = at.seen(views, each.name), at.below(each)
        if state is False:
            yield at.path(each.name), each
        elif below is not None and below.above is at:
            yield from _hidden(below, views)


@dataclass(frozen=True, slots=True)
class Leaf:
    """Single values of a message at their canonical path: their mark, and whether a reader sees them."""

    path: str
    personal: str | None  # `basic` or `sensitive`
    shown: bool


def leaves(struct: Struct, *views: Sequence[str]) -> list[Leaf]:
    """All single values of a message, as the mask of these views leaves them; a recursive type has them once."""
    chosen = [FieldSet(struct, fields) for fields in views]
    shown: dict[str, bool] = {}

    def walk(at: _Group, hidden: bool) -> None:
        for each in at.fields():
            below, out = at.below(each), hidden or at.seen(chosen, each.name) is False
            shown[at.path(each.name)] = not out
            if below is not None and below.above is at:
                walk(below, out)

    walk(_Group(struct, ("",)), False)
    return [
        Leaf(each.value_path, each.personal, shown[_plain(each.path)]) for each in marked_fields(struct) if each.single
    ]


def unshown(plan: Plan, hidden: Sequence[str]) -> list[tuple[str, str]]:
    """Hidden fields that a format has but cannot mark as `not-permitted`: canonical path, place in the format."""
    carried: dict[str, str] = {}
    marked: set[str] = set()
    for leaf in plan.root.leaves():
        if leaf.keys is not None:
            carried.setdefault(_plain(leaf.canonical), leaf.here)
            if _HIDDEN in leaf.tokens:
                marked.add(_plain(leaf.canonical))
    for node in plan.root.nodes():
        for fill in node.fills:
            if fill.constant:  # a constant of the format cannot be hidden
                carried.setdefault(_plain(fill.canonical), f"= {fill.value!r}")
    unmarked: list[tuple[str, str]] = []
    for path in hidden:
        here = next((place for at, place in carried.items() if at == path or at.startswith(path + ".")), None)
        if here is not None and path not in marked:
            unmarked.append((path, here))
    return unmarked


def compile_mask(struct: Struct, *views: Sequence[str]) -> Mask | None:
    """The mask that shows what any of these lists shows; None where everything is visible.

    A hidden field that is missing stays missing. A hidden field that is not absentable is left out.
    `!@personal` always has a mask: a message of a withdrawn version may have a personal field that this one lacks.
    """
    chosen = [FieldSet(struct, fields) for fields in views]
    return None if any(each.whole for each in chosen) else _compile(_Group(struct, ("",)), chosen, {})


def _compile(at: _Group, views: Sequence[FieldSet], compiled: dict[tuple[str, ...], Mask]) -> Mask:
    hidden: set[str] = set()
    visible: dict[str, Mask | None] = {}

    def apply(value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {"absent": _HIDDEN} if name in hidden else _masked(visible[name], item)
            for name, item in value.items()
            if name in visible or name in hidden
        }

    compiled[at.paths] = apply
    for each in at.fields():
        below = at.below(each)
        if at.seen(views, each.name) is not False:
            visible[each.name] = (
                None
                if below is None
                else compiled[below.paths]
                if below.paths in compiled
                else _compile(below, views, compiled)
            )
        elif each.absentable:
            hidden.add(each.name)
    return apply


def _masked(mask: Mask | None, item: Any) -> Any:
    if mask is None:
        return item
    if isinstance(item, list):
        return [mask(each) for each in item]
    return item if "absent" in item else mask(item)


def _exists(struct: Struct, path: str) -> bool:
    fields: Struct | None = struct
    for name in path.split("."):
        field = fields.field(name) if fields is not None else None
        if field is None:
            return False
        fields = group(field.type)
    return True


def _first(struct: Struct, path: str) -> str:
    """The path of the field's first occurrence, without recursive steps."""
    at: _Group | None = _Group(struct, ("",))
    reached = ""
    for name in path.split("."):
        field = next((each for each in at.fields() if each.name == name), None) if at is not None else None
        if at is None or field is None:
            return path
        reached, at = at.path(name), at.below(field)
    return reached


def _around(path: str) -> list[str]:
    """A path and those that contain it."""
    return [path, *(path[:at] for at, sign in enumerate(path) if sign == ".")]


def _plain(path: str) -> str:
    return path.replace("[]", "")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
