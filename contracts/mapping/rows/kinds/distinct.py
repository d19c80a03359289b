"""`{canonical: "values[].area", here: "areas[].id", distinct: true}`: a list that has each value of a field once.

Where the field itself stands, the format has the position of its value in that list: a row with `index`
(kinds/index.py) says so. The values are written in the order in which they come first in the message.
"""

from __future__ import annotations

from typing import Final

from contracts.mapping.plan import Listing
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row

_WORDS: Final = frozenset({"canonical", "here", "distinct", "as", "zone", "codes", "unit"})


def _read(builder: Builder, row: Row) -> None:
    canonical, here = str(row.canonical), str(row.here)
    if row.words["distinct"] is not True or not set(row.words) <= _WORDS or here.count("[]") != 1 or "{}" in here:
        expected = "canonical, here with one [], distinct: true, and the form of the value"
        builder.bad(row.at, canonical, "a list of values out of form", "table", expected)
        return
    bound = builder.bind(canonical, row)
    leaf = None if bound is None else builder.leaf(row, canonical, *bound)
    if bound is None or leaf is None:
        return
    if bound[0].field.absentable or canonical.endswith("[]") or builder.dated(row, leaf) is not None:
        expected = "one value that is not absentable, with codes without dates"
        builder.bad(row.at, canonical, "a value that has no position in a list", "unsupported", expected)
        return
    listing = Listing(canonical, leaf)
    leaf.keys = () if here.endswith("[]") else (listing.member,)
    if builder.tree.listed(here, listing, row.at):
        builder.listings[canonical] = listing


KIND = RowKind(
    words=frozenset({"distinct"}),
    fits=lambda builder, row: "distinct" in row.words,
    read=_read,
    optional=frozenset({"distinct"}),
    not_in_cells="a list of values",
)
