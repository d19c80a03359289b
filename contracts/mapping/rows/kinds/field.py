"""`{canonical: …, here: …}`: one field in one place; `{canonical: …, constant: …}`: a field with a fixed value."""

from __future__ import annotations

from contracts.mapping.plan import Leaf
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import plain
from contracts.mapping.rows.row import Row


def _read(builder: Builder, row: Row) -> None:
    canonical, here = str(row.canonical), str(row.here)
    bound = builder.bind(canonical, row)
    if bound is None:
        return
    place, scalar = bound
    if "here" not in row.words:
        builder.fill(row, canonical, scalar, constant=True)
        return
    leaf = builder.leaf(row, canonical, place, scalar)
    if leaf is None:
        return
    binding = builder.dated(row, leaf)
    if row.condition is not None:
        binding = binding or plain(leaf)
    if None in leaf.words and (binding is not None and None in leaf.tokens.values() or _cannot_be_null(here)):
        expected = "a word, or an element or member of its own"
        builder.bad(row.at, canonical, "null for a value that cannot be null there", "unsupported", expected)
    placed: Leaf = leaf if binding is None else custom_leaf(binding, canonical, here, row.words, leaf.keys or ())
    frame = builder.tree.place(here, canonical, placed, row.at, row.condition)
    if frame is not None and "default" in row.words:
        builder.fill(row, canonical, scalar, constant=False)


def _cannot_be_null(here: str) -> bool:
    last = here.rpartition("/")[2]
    return last.startswith("@") or last == "text()"


KIND = RowKind(
    words=frozenset({"as", "zone", "unit", "codes", "others", "default", "constant", "absent", "missing"}),
    fits=lambda builder, row: True,
    read=_read,
    optional=frozenset({"default"}),
)
