"""`{canonical: [a, b], here: …, split: ", "}`: several fields, or the items of a list, in one place.

Invariant: what is written splits into the same parts again, or it is refused; a text with another number of parts is
refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contracts.canonical.findings import Index, NotExpressible, Problems, filled, kind_of
from contracts.canonical.places import frame_of, keys_of
from contracts.mapping import value_formats
from contracts.mapping.frames import raw_writer, setter, shown
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.rows.builder import Builder, custom_leaf
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.parts import Where, plain
from contracts.mapping.rows.row import Row
from contracts.mapping.value_formats import Bad


def _read(builder: Builder, row: Row) -> None:
    separator, here = row.words.get("split"), row.here
    beside = set(row.words) - {"canonical", "here", "split", "when"}
    if not isinstance(separator, str) or not separator or not isinstance(here, str) or beside:
        expected = 'canonical: [a, b], here: one place, split: ", "; nothing beside'
        builder.bad(row.at, str(here), "a split out of form", "table", expected)
        return
    leaves, optional = [], []
    for canonical in map(str, row.canonical if isinstance(row.canonical, list) else [row.canonical]):
        bound = builder.bind(canonical, row)
        if bound is None:
            return
        place, scalar = bound
        if place.field.required and place.field.absentable:
            expected = "an optional field, or a place of its own"
            builder.bad(row.at, canonical, "a part whose absence cannot be said", "absent", expected)
        elif place.field.absentable:
            builder.values.losses.append(f"{canonical}: the reason for an absence is lost")
        form = value_formats.scalar_form(scalar, "xml", strict=True)
        leaves.append(Leaf(keys_of(canonical), form, canonical, here, scalar))
        optional.append(not place.field.required)
    of_list = len(leaves) == 1 and leaves[0].canonical.endswith("[]")
    if not of_list and not _of_one_group(leaves):
        expected = "two or more fields of one group, or one list of single values"
        builder.bad(row.at, here, "parts that do not belong together", "table", expected)
        return
    target = leaves[0].canonical.removesuffix("[]") if of_list else leaves[0].canonical
    binding = split_list(leaves[0], keys_of(target), separator) if of_list else split(leaves, optional, separator)
    leaf = custom_leaf(binding, leaves[0].canonical, here, row.words)
    builder.tree.place(here, target, leaf, row.at, row.condition)


def _of_one_group(leaves: Sequence[Leaf]) -> bool:
    return (
        len(leaves) > 1
        and len({frame_of(leaf.canonical) for leaf in leaves}) == 1
        and all(leaf.keys for leaf in leaves)
    )


def split(leaves: Sequence[Leaf], optional: Sequence[bool], separator: str) -> CustomBinding:
    """Binds one text to several fields.

    A missing optional field is an empty part. If all are missing, nothing is written.
    """
    parts = [plain(leaf) for leaf in leaves]
    expected = f"{len(leaves)} parts with {separator!r} between them"
    first = leaves[0]

    def read_value(raw: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        pieces = raw.split(separator) if isinstance(raw, str) else ()
        if len(pieces) != len(parts):
            problems.add(where(), filled(first.canonical, index, 0), kind_of(raw), "format", expected)
            return
        for piece, part, may_miss in zip(pieces, parts, optional, strict=True):
            if piece or not may_miss:
                part.read(piece, into, index, problems, where)

    def write_value(frame: Any) -> Any:
        raws = [part.write(frame) for part in parts]
        if all(raw is None for raw in raws):
            return None
        for raw, leaf, may_miss in zip(raws, leaves, optional, strict=True):
            if raw == "" and may_miss:
                raise NotExpressible(
                    leaf.here,
                    leaf.canonical,
                    "empty text",
                    "length",
                    "one character or more: an empty part means missing",
                )
        pieces = ["" if raw is None else str(raw) for raw in raws]
        text = separator.join(pieces)
        if text.split(separator) != pieces:
            raise NotExpressible(
                first.here, first.canonical, kind_of(pieces[0]), "format", f"values without {separator!r}"
            )
        return text

    return CustomBinding(read_value, write_value, tuple(leaves))


def split_list(leaf: Leaf, keys: tuple[str, ...], separator: str) -> CustomBinding:
    """Binds one text to the items of a list."""
    convert, raw, canonical = leaf.form.read, raw_writer(leaf), leaf.canonical
    put, find = setter(keys), shown(Leaf(keys, leaf.form, canonical, leaf.here))

    def read_value(text: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        if not isinstance(text, str):
            problems.add(
                where(),
                filled(canonical, index, 0),
                kind_of(text),
                "type",
                f"a text with {separator!r} between the values",
            )
            return
        values = []
        for number, piece in enumerate(text.split(separator)):
            try:
                values.append(piece if convert is None else convert(piece))
            except Bad as bad:
                problems.add(where(), filled(canonical, (index, number), 0), kind_of(piece), bad.rule, bad.expected)
        put(into, values)

    def write_value(frame: Any) -> Any:
        items = find(frame)
        if not items:
            return None
        pieces = [str(item if raw is None else raw(item)) for item in items]
        text = separator.join(pieces)
        if text.split(separator) != pieces:
            raise NotExpressible(leaf.here, canonical, kind_of(items), "format", f"values without {separator!r}")
        return text

    return CustomBinding(read_value, write_value, (leaf,))


KIND = RowKind(
    words=frozenset({"split"}),
    fits=lambda builder, row: isinstance(row.canonical, list) or "split" in row.words,
    read=_read,
    optional=frozenset({"split"}),
    is_part=True,
)
