"""`{here: …, constant: …}`: a place that holds a fixed value and no canonical field."""

from __future__ import annotations

from contracts.mapping.plan import Leaf
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.conditions import fixed
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row
from contracts.mapping.value_formats import TEXT


def _read(builder: Builder, row: Row) -> None:
    if set(row.words) - {"when"} != {"here", "constant"}:
        builder.bad(row.at, str(row.here), "a row without canonical", "table", "here and constant, nothing else")
        return
    value, here = row.words["constant"], str(row.here)
    if builder.reader.media == "xml":
        value = str(value)
    elif isinstance(value, float) or not isinstance(value, (str, int, bool)):
        builder.bad(row.at, here, "a constant of another kind", "table", "a text, a whole number, true or false")
        return
    leaf = Leaf(None, TEXT, "", here, constant=value)
    if row.condition is not None:
        leaf = custom_leaf(fixed(value), "", here, row.words)
    builder.tree.place(here, "", leaf, row.at, row.condition)


KIND = RowKind(words=frozenset({"constant"}), fits=lambda builder, row: row.canonical is None, read=_read)
