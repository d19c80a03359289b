"""`{canonical: a[].b[], here: …, again: a[]}`: a list whose items equal those of a list above it."""

from __future__ import annotations

from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row


def _read(builder: Builder, row: Row) -> None:
    canonical, again = str(row.canonical), str(row.words["again"])
    same = _same_items(builder, canonical, again)
    whole = set(row.words) == {"canonical", "here", "again"}
    if not whole or not same or not canonical.startswith(again) or canonical in builder.lines:
        expected = "canonical, here and again: the list above it of the same type"
        builder.bad(row.at, canonical, "a list that does not lead back so", "table", expected)
        return
    builder.lines[canonical] = row.at
    builder.tree.again(str(row.here), canonical, again, row.at)
    builder.recursions.append((again, row.at))


def _same_items(builder: Builder, canonical: str, again: str) -> bool:
    inner, above = (
        place.field.type.items if place is not None and isinstance(place.field.type, Array) else None
        for place in (builder.known.get(canonical), builder.known.get(again))
    )
    if inner is None or above is None or isinstance(inner, Scalar) or isinstance(above, Scalar):
        return False
    # Either list may be the one at which the type is read; the other refers to it.
    return _target(inner) is _target(above)


def _target(items: Struct | Choice | RecursiveRef) -> Struct | Choice:
    return items.target if isinstance(items, RecursiveRef) else items


KIND = RowKind(words=frozenset({"again"}), fits=lambda builder, row: "again" in row.words, read=_read)
