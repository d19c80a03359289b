"""Which values of a message are personal data, and how sensitive they are.

The marks follow Decree 13/2023/NĐ-CP: `basic` is article 2.3, `sensitive` article 2.4. An object marks all that it
holds; inside it the stronger mark counts. A recursive type has the paths of its first occurrence, as in masks, with the
strongest mark of all its occurrences.
Invariant: a value below a mark is never weaker than the mark, at any depth of lists, objects and recursion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from contracts.canonical.model import Array, Choice, Field, RecursiveRef, Scalar, Struct, strongest

NONE: Final = "none"
_Groups = tuple[tuple[Struct | Choice, str], ...]  # the groups around a field, with their paths


@dataclass(frozen=True, slots=True)
class Marked:
    """A field at its canonical path (`info[].area`), and its mark with those above it. None: nothing says it."""

    path: str
    field: Field
    mark: str | None

    @property
    def personal(self) -> str | None:
        """`basic` or `sensitive`; None for what is not personal."""
        return None if self.mark == NONE else self.mark

    @property
    def single(self) -> bool:
        """Whether it holds single values: one, or a list of them."""
        return isinstance(_item(self.field), Scalar)

    @property
    def value_path(self) -> str:
        """The path of the values: with `[]` for the items of a list."""
        return self.path + "[]" if isinstance(self.field.type, Array) else self.path


def marked_fields(struct: Struct) -> tuple[Marked, ...]:
    """Every field of a message, in its order, groups before what they hold."""
    marks: dict[str, Marked] = {}
    floors: dict[str, str | None] = {}  # the mark that a group was walked with

    def walk(type_: Struct | Choice, at: str, mark: str | None, above: _Groups) -> None:
        inside = ((type_, at), *above)
        floors[at] = strongest(mark, floors.get(at))
        for field in (type_.union if isinstance(type_, Choice) else type_).fields:
            path = f"{at}.{field.name}" if at else field.name
            known = marks.get(path)
            own = strongest(field.below(mark), known.mark if known is not None else None)
            marks[path] = each = Marked(path, field, own)
            if not isinstance(item := _item(field), Scalar):
                again = next((n for n, (outer, _) in enumerate(inside) if item in _types(outer)), None)
                if again is None:
                    walk(item, each.value_path, own, inside)
                elif strongest(own, floor := floors[inside[again][1]]) != floor:
                    # The occurrences below are marked, and they have the paths of the first one.
                    walk(*inside[again], own, inside[again + 1 :])

    walk(struct, "", None, ())
    return tuple(marks.values())


def personal_paths(struct: Struct) -> Mapping[str, str]:
    """Canonical path of each personal single value (`units[].phone`, `phones[]`) -> `basic` or `sensitive`."""
    return MappingProxyType(
        {each.value_path: each.personal for each in marked_fields(struct) if each.single and each.personal is not None}
    )


def _item(field: Field) -> Scalar | Struct | Choice:
    type_ = field.type.items if isinstance(field.type, Array) else field.type
    return type_.target if isinstance(type_, RecursiveRef) else type_


def _types(type_: Struct | Choice) -> tuple[Struct | Choice, ...]:
    """An object type, or a choice with its branches: the types that lead back to it."""
    return (type_, *(branch.struct for branch in type_.branches)) if isinstance(type_, Choice) else (type_,)
