"""`{canonical: a group, here: …, absent: …}`: the words in a place when the whole group is absent."""

from __future__ import annotations

from contracts.canonical.places import keys_of, scalar_at
from contracts.mapping.plan import Leaf
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row
from contracts.mapping.value_formats import TEXT


def _fits(builder: Builder, row: Row) -> bool:
    if set(row.words) != {"canonical", "here", "absent"}:
        return False
    canonical = str(row.canonical)
    place = builder.known.get(canonical)
    return place is not None and scalar_at(place, canonical) is None and not canonical.endswith("[]")


def _read(builder: Builder, row: Row) -> None:
    canonical = str(row.canonical)
    place = builder.known[canonical]
    if not place.field.absentable or canonical in builder.lines:
        builder.bad(row.at, canonical, "words for absence", "absent", "one row, for a group that is absentable")
        return
    builder.lines[canonical] = row.at
    leaf = Leaf(keys_of(canonical), TEXT, canonical, str(row.here))
    builder.values.tokens(row.words, place, None, leaf, row.at)
    builder.tree.group(str(row.here), leaf, row.at)


KIND = RowKind(words=frozenset({"absent"}), fits=_fits, read=_read)
