"""`{canonical: a group, here: …, absent: …}`: the words in a place when the whole group is absent.

With `missing` also those for an optional group that is not there; of a list's items (`a[]`) null alone, which is read
over.
"""

from __future__ import annotations

from contracts.canonical.places import keys_of, scalar_at
from contracts.mapping.plan import Leaf
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row
from contracts.mapping.value_formats import TEXT


def _fits(builder: Builder, row: Row) -> bool:
    if not {"canonical", "here"} < set(row.words) <= {"canonical", "here", "absent", "missing"}:
        return False
    canonical = str(row.canonical)
    place = builder.known.get(canonical)
    return place is not None and scalar_at(place, canonical) is None


def _read(builder: Builder, row: Row) -> None:
    canonical = str(row.canonical)
    place = builder.known[canonical]
    if canonical.endswith("[]"):
        _items(builder, row, canonical)
        return
    if "absent" in row.words and not place.field.absentable or canonical in builder.lines:
        builder.bad(row.at, canonical, "words for absence", "absent", "one row, for a group that is absentable")
        return
    builder.lines[canonical] = row.at
    leaf = Leaf(keys_of(canonical), TEXT, canonical, str(row.here))
    if place.field.absentable:
        builder.values.tokens(row.words, place, None, leaf, row.at)
    if "missing" in row.words:
        builder.values.missing(row.words, place, None, leaf, row.at)
    builder.tree.group(str(row.here), leaf, row.at)


def _items(builder: Builder, row: Row, canonical: str) -> None:
    """Items that are null say nothing; they are not written."""
    node = builder.tree.frame(canonical)
    here, only_null = str(row.here), row.words.get("missing") == [None] and "absent" not in row.words
    there = builder.tree.found(here, row.at) if here.endswith("[]") else None
    if not only_null or node is None or there is not node or node.skips:
        expected = "missing: [null], after the rows of that list"
        builder.bad(row.at, canonical, "words for the items of a list", "missing", expected)
        return
    node.skips = (None,)
    builder.values.losses.append(f"{canonical}: an item that is null is read over")


KIND = RowKind(words=frozenset({"absent", "missing"}), fits=_fits, read=_read)
