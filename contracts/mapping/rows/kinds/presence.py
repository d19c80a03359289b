"""`{canonical: …, here: dt:Co, presence: true}`: a truth value, said by whether an empty element is there (XML)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from contracts.canonical.findings import Index, Problems, filled, kind_of
from contracts.canonical.places import keys_of
from contracts.mapping.frames import getter, setter
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import Where
from contracts.mapping.rows.row import Row
from contracts.mapping.value_formats import TEXT


def _read(builder: Builder, row: Row) -> None:
    canonical, here = str(row.canonical), str(row.here)
    last = here.rpartition("/")[2]
    in_place = builder.reader.media == "xml" and not last.startswith("@") and last != "text()" and "[]" not in last
    if set(row.words) != {"canonical", "here", "presence"} or row.words["presence"] is not True or not in_place:
        builder.bad(row.at, canonical, "presence out of form", "table", "canonical, here: an element, presence: true")
        return
    bound = builder.bind(canonical, row)
    if bound is None:
        return
    place, scalar = bound
    if scalar.kind != "boolean" or place.field.absentable or canonical.endswith("[]"):
        builder.bad(row.at, canonical, "presence of another value", "table", "one truth value, not absentable")
        return
    leaf = Leaf(keys_of(canonical), TEXT, canonical, here, scalar)
    builder.tree.place(here, canonical, custom_leaf(_binding(leaf), canonical, here, row.words), row.at)
    builder.fill(replace(row, words={**row.words, "default": False}), canonical, scalar, constant=False)


def _binding(leaf: Leaf) -> CustomBinding:
    put, get = setter(leaf.keys or ()), getter(leaf.keys or ())

    def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        if raw != "":
            problems.add(where(), filled(leaf.canonical, index, 0), kind_of(raw), "type", "an empty element")
            return
        put(into, True)

    return CustomBinding(read_value, lambda frame: "" if get(frame) else None, (leaf,))


KIND = RowKind(
    words=frozenset({"presence"}),
    fits=lambda builder, row: "presence" in row.words,
    read=_read,
    optional=frozenset({"presence"}),
    not_in_cells="presence",
)
