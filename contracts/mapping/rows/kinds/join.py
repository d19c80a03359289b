"""`{canonical: …, here: [a, b], join: " "}`: one field out of several places, with a separator between them.

Invariant: what is written splits into the same parts again, or it is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from contracts.canonical.findings import Index, NotExpressible, Problems, filled, kind_of
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import Where, plain
from contracts.mapping.rows.row import Row


def _read(builder: Builder, row: Row) -> None:
    canonical, separator = str(row.canonical), row.words.get("join")
    here = row.here if isinstance(row.here, list) else [row.here]
    bound = builder.bind(canonical, row)
    if bound is None:
        return
    place, scalar = bound
    wrong = len(here) < 2 or canonical.endswith("[]") or {"absent", "unit"} & set(row.words)
    if not isinstance(separator, str) or not separator or wrong:
        expected = 'canonical: one field, here: [a, b], join: " "'
        builder.bad(row.at, canonical, "a join out of form", "table", expected)
        return
    if place.field.required and place.field.absentable:
        expected = "an optional field, or a place of its own"
        builder.bad(row.at, canonical, "a joined field whose absence cannot be said", "absent", expected)
    words = {**row.words, "here": str(here[0])}
    if scalar.kind != "string" and not {"as", "codes"} & set(words):
        words["as"] = "text"
    leaf = builder.leaf(replace(row, words=words), canonical, place, scalar)
    if leaf is None:
        return
    if leaf.form.raw != "text":
        builder.bad(row.at, canonical, "a join of what is no text", "table", "as: text, or a text")
        return
    is_xml = builder.reader.media == "xml"
    root = f"{builder.tree.root.here}/" if is_xml else ""
    whole = builder.dated(row, leaf) or plain(leaf)
    bindings = join(leaf, whole, [f"{root}{each}" for each in here], separator, int(is_xml))
    for path, binding in zip(here, bindings, strict=True):
        placed = custom_leaf(binding, canonical, str(path), row.words)
        builder.tree.place(str(path), canonical, placed, row.at, row.condition)
    if "default" in row.words:
        builder.fill(row, canonical, scalar, constant=False, late=True)


def join(leaf: Leaf, whole: CustomBinding, places: Sequence[str], separator: str, first: int) -> list[CustomBinding]:
    """A binding for each place of the field. Either all places have a value, or none."""
    name, canonical = f"\0{leaf.canonical}", leaf.canonical
    expected = f"{len(places)} parts, none of them with {separator!r}"

    def binding(at: int) -> CustomBinding:
        def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
            if not isinstance(raw, str) or separator in raw:
                problems.add(
                    where(), filled(canonical, index, 0), kind_of(raw), "format", f"text without {separator!r}"
                )
                return
            cells = into.get(name)
            if cells is None:
                cells = into[name] = [None] * len(places)
                problems.defer(lambda root: settle(into, index, problems, where))
            cells[at] = raw

        def write_value(frame: Any) -> Any:
            text = whole.write(frame)
            if text is None:
                return None
            pieces = text.split(separator)
            if len(pieces) != len(places):
                raise NotExpressible(places[at], canonical, kind_of(text), "format", expected)
            return pieces[at]

        return CustomBinding(read_value, write_value, (leaf,))

    def settle(into: Any, index: Index, problems: Problems, where: Where) -> None:
        cells = into.pop(name)
        for cell, place in zip(cells, places, strict=True):
            if cell is None:
                problems.add(
                    filled(place, index, first),
                    filled(canonical, index, 0),
                    "nothing",
                    "required",
                    "all parts, or none",
                )
                return
        whole.read(separator.join(cells), into, index, problems, where)

    return [binding(at) for at in range(len(places))]


KIND = RowKind(
    words=frozenset({"join"}),
    fits=lambda builder, row: isinstance(row.here, list) or "join" in row.words,
    read=_read,
    optional=frozenset({"join"}),
    is_part=True,
)
