"""Field masks of grants, compiled: what a reader may not see becomes `{"absent": "not-permitted"}`, so that masked and missing differ.

Fields: `*`, canonical paths that may be seen (with all below them), and `!path` for what is hidden. Paths are written without
brackets or with them (`info.area`, `info[].area`). What leads back to itself is seen as that to which it leads back: `!units.phone` hides the phone
of units below units too, at every depth. Invariant: a value that is hidden is never copied into what is returned, and neither is a field that
the contract in force does not know, such as one of a version that was taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Struct, group
from contracts.mapping.plan import Plan

Mask = Callable[[dict[str, Any]], dict[str, Any]]

_HIDDEN = "not-permitted"


class FieldSet:
    """Which paths of one message are hidden."""

    def __init__(self, struct: Struct, fields: Sequence[str]) -> None:
        self.struct = struct
        self.shown = [_plain(each) for each in fields if not each.startswith("!") and each != "*"]
        self.hidden = [_first(struct, _plain(each[1:])) for each in fields if each.startswith("!")]
        # Only denials, or a star: everything else is seen.
        self.all = "*" in fields or not self.shown

    def state(self, path: str) -> bool | None:
        """True: seen with all below; False: hidden with all below; None: it depends on what is below."""
        if any(path == each or path.startswith(each + ".") for each in self.hidden):
            return False
        below = any(each.startswith(path + ".") for each in self.hidden)
        if self.all or any(path == each or path.startswith(each + ".") for each in self.shown):
            return None if below else True
        return None if any(each.startswith(path + ".") for each in self.shown) else False


@dataclass(frozen=True, slots=True)
class _Place:
    """A group on the way down from the message. `paths` are its own, and those to which branches of it lead back; `above` is what it lies in."""

    type: Struct | Choice
    paths: tuple[str, ...]
    above: _Place | None = None

    def around(self) -> Iterator[_Place]:
        """From here to the message."""
        yield self
        if self.above is not None:
            yield from self.above.around()

    def fields(self) -> tuple[Field, ...]:
        return (self.type.union if isinstance(self.type, Choice) else self.type).fields

    def path(self, name: str) -> str:
        return _join(self.paths[0], name)

    def seen(self, views: Sequence[FieldSet], name: str) -> bool | None:
        """What one view shows is seen, whatever the others hide."""
        found = {self.state(each, name) for each in views}
        return True if True in found else None if None in found else False

    def state(self, chosen: FieldSet, name: str) -> bool | None:
        """The strictest of what is said of the field at each of the paths that have it."""
        found = {chosen.state(path) for each in self.paths if _exists(chosen.struct, path := _join(each, name))}
        return False if False in found else None if None in found else True

    def below(self, field: Field) -> _Place | None:
        """The place of a field's group: one of those around, where it leads back to it; None for single values."""
        made = field.type.items if isinstance(field.type, Array) else field.type
        made = made.target if isinstance(made, RecursiveRef) else made
        if not isinstance(made, (Struct, Choice)):
            return None
        back = next((each for each in self.around() if made in each.types()), None)
        if back is not None:
            return back
        branches = [branch.struct for branch in made.branches] if isinstance(made, Choice) else []
        also = [
            path for each in self.around() if any(branch in each.types() for branch in branches) for path in each.paths
        ]
        return _Place(made, (self.path(field.name), *also), self)

    def types(self) -> list[Struct | Choice]:
        return (
            [self.type, *(branch.struct for branch in self.type.branches)]
            if isinstance(self.type, Choice)
            else [self.type]
        )


def check_fields(struct: Struct, fields: Sequence[str]) -> list[str]:
    """What is wrong with a list of fields: paths that do not exist, and hidden fields that cannot be shown as absent."""
    problems: list[str] = []
    for each in fields:
        path = _plain(each.removeprefix("!"))
        if each != "*" and not _exists(struct, path):
            problems.append(f"{each}: a path that {struct.name} does not have")
        elif each != "*" and (first := _first(struct, path)) != path:
            problems.append(f"{each}: it leads back to itself: {first} means it at every depth")
    if not fields:
        problems.append("no field at all: write * or the fields that may be seen")
    if not problems:
        for path, field in _hidden(_Place(struct, ("",)), [FieldSet(struct, fields)]):
            if not field.absentable:
                problems.append(f"{path}: hidden, but the contract does not declare it absentable")
    return problems


def hidden_paths(struct: Struct, fields: Sequence[str]) -> list[str]:
    """The fields that a reader sees as not permitted, each where it is met first, without what is below it."""
    return [path for path, _ in _hidden(_Place(struct, ("",)), [FieldSet(struct, fields)])]


def _hidden(at: _Place, views: Sequence[FieldSet]) -> Iterator[tuple[str, Field]]:
    for each in at.fields():
        state, below = at.seen(views, each.name), at.below(each)
        if state is False:
            yield at.path(each.name), each
        elif below is not None and below.above is at:
            yield from _hidden(below, views)


def seen_paths(struct: Struct, *views: Sequence[str]) -> list[tuple[str, bool]]:
    """What these lists of fields come to: each path that is seen, or hidden, with all below it; in the contract's order."""
    chosen = [FieldSet(struct, fields) for fields in views]

    def walk(at: _Place) -> Iterator[tuple[str, bool]]:
        for each in at.fields():
            state, below = at.seen(chosen, each.name), at.below(each)
            if state is None and below is not None and below.above is at:
                yield from walk(below)
            else:
                yield at.path(each.name), state is not False

    return list(walk(_Place(struct, ("",))))


def unshown(plan: Plan, hidden: Sequence[str]) -> list[tuple[str, str]]:
    """Hidden fields that a format carries without a word for `not-permitted`, and where they stand in it: there, masked would look like missing."""
    carried: dict[str, str] = {}
    told: set[str] = set()
    for leaf in plan.root.leaves():
        if leaf.keys is not None:
            carried.setdefault(_plain(leaf.canonical), leaf.here)
            if _HIDDEN in leaf.tokens:
                told.add(_plain(leaf.canonical))
    for node in plan.root.nodes():
        for fill in node.fills:
            if fill.constant:  # what the format takes for granted, it cannot hide
                carried.setdefault(_plain(fill.canonical), f"= {fill.value!r}")
    found: list[tuple[str, str]] = []
    for path in hidden:
        here = next((place for at, place in carried.items() if at == path or at.startswith(path + ".")), None)
        if here is not None and path not in told:
            found.append((path, here))
    return found


def compile_mask(struct: Struct, *views: Sequence[str]) -> Mask | None:
    """What any of these lists of fields shows; None where everything is seen. A hidden field that is missing stays missing; what is not absentable is
    left out."""
    chosen = [FieldSet(struct, fields) for fields in views]
    return None if any(each.all and not each.hidden for each in chosen) else _compile(_Place(struct, ("",)), chosen, {})


def _compile(at: _Place, views: Sequence[FieldSet], made: dict[tuple[str, ...], Mask]) -> Mask:
    hidden: set[str] = set()
    seen: dict[str, Mask | None] = {}

    def apply(value: dict[str, Any]) -> dict[str, Any]:
        return {
            name: {"absent": _HIDDEN} if name in hidden else _masked(seen[name], item)
            for name, item in value.items()
            if name in seen or name in hidden
        }

    made[at.paths] = apply
    for each in at.fields():
        below = at.below(each)
        if at.seen(views, each.name) is not False:
            seen[each.name] = (
                None if below is None else made[below.paths] if below.paths in made else _compile(below, views, made)
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
    made: Struct | None = struct
    for name in path.split("."):
        field = made.field(name) if made is not None else None
        if field is None:
            return False
        made = group(field.type)
    return True


def _first(struct: Struct, path: str) -> str:
    """The path of the same field where it is met first: without the steps that lead back."""
    at: _Place | None = _Place(struct, ("",))
    reached = ""
    for name in path.split("."):
        field = next((each for each in at.fields() if each.name == name), None) if at is not None else None
        if at is None or field is None:
            return path
        reached, at = at.path(name), at.below(field)
    return reached


def _plain(path: str) -> str:
    return path.replace("[]", "")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
