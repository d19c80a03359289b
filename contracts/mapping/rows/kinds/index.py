"""`{canonical: [a, b], here: "observations.{}", index: ":"}`: the positions of values in the lists that have them.

A row with `distinct` (kinds/distinct.py) names the list of each field. Positions count from 0. That of one field
(`index: true`) is a number in JSON. A reader decides after the whole message is read, because the list may stand below.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from contracts.canonical.findings import Index, Problems, filled, kind_of
from contracts.canonical.places import frame_of, keys_of
from contracts.mapping.frames import setter
from contracts.mapping.plan import CustomBinding, Listing
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import Where
from contracts.mapping.rows.row import Row

_POSITION: Final = re.compile("0|[1-9][0-9]{0,8}")


def _read(builder: Builder, row: Row) -> None:
    here, between = str(row.here), row.words["index"]
    paths = [str(each) for each in (row.canonical if isinstance(row.canonical, list) else [row.canonical])]
    fits = between is True if len(paths) == 1 else isinstance(between, str) and between and not _has_digit(between)
    if set(row.words) != {"canonical", "here", "index"} or not fits or len(set(paths)) < len(paths):
        expected = 'canonical: [a, b], here, index: ":"; or one field and index: true'
        builder.bad(row.at, here, "positions out of form", "table", expected)
        return
    known = [builder.listings.get(path) for path in paths]
    listings = [each for each in known if each is not None and not each.indexed]
    if len(listings) < len(paths) or len({frame_of(path) for path in paths}) > 1:
        expected = "fields of one group, each with a row `distinct` before, and once"
        builder.bad(row.at, here, "positions of what has no list", "table", expected)
        return
    optional = [path for path in paths if not builder.known[path].field.required]
    in_name = here.endswith("{}")
    if optional and len(paths) > 1 or in_name and builder.reader.media == "xml":
        expected = "required fields; in XML an attribute or a text"
        builder.bad(row.at, here, "positions that cannot be written there", "unsupported", expected)
        return
    for each in listings:
        each.indexed = True
    as_number = between is True and builder.reader.media == "json" and not in_name
    binding = _binding(listings, "" if between is True else str(between), as_number)
    builder.tree.place(here, paths[0], custom_leaf(binding, paths[0], here, row.words), row.at)


def _has_digit(text: str) -> bool:
    return any(sign.isdigit() for sign in text)


def _binding(listings: Sequence[Listing], between: str, as_number: bool) -> CustomBinding:
    fields = [(listing, setter(keys_of(listing.canonical))) for listing in listings]
    count = f"{len(fields)} positions with {between!r} between them" if between else "a position, from 0 on"
    leaves = tuple(replace(each.leaf, keys=keys_of(each.canonical), canonical=each.canonical) for each in listings)

    def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        text = str(raw) if as_number and type(raw) is int else raw if isinstance(raw, str) and not as_number else ""
        pieces = text.split(between) if between else [text]
        if len(pieces) != len(fields) or not all(map(_POSITION.fullmatch, pieces)):
            problems.add(where(), filled(listings[0].canonical, index, 0), kind_of(raw), "format", count)
            return
        positions = [int(piece) for piece in pieces]

        def settle(root: Any) -> None:
            for position, (listing, put) in zip(positions, fields, strict=True):
                values = root.get(listing.hidden, ())
                value = values[position] if position < len(values) else None
                value = value.get(listing.member) if isinstance(value, dict) else value
                if value is None:
                    at, expected = filled(listing.canonical, index, 0), f"a position in {listing.here}, from 0 on"
                    problems.add(where(), at, f"position {position}", "range", expected)
                else:
                    put(into, value)

        problems.defer(settle)

    def write_value(frame: Any) -> Any:
        positions = [frame.get(listing.position) for listing, _ in fields]
        if positions[0] is None:
            return None
        return positions[0] if as_number else between.join(map(str, positions))

    return CustomBinding(read_value, write_value, leaves)


KIND = RowKind(
    words=frozenset({"index"}),
    fits=lambda builder, row: "index" in row.words,
    read=_read,
    not_in_cells="positions in a list",
)
