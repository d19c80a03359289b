"""`{canonical: …, jsonata: …}` or `{here: …, jsonata: …}`: one value by an expression, in one direction."""

from __future__ import annotations

from contracts.mapping.rows import expressions
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row


def _read(builder: Builder, row: Row) -> None:
    expression = row.words["jsonata"]
    target = "canonical" if "canonical" in row.words else "here"
    path = row.words.get(target)
    whole = set(row.words) == {target, "jsonata"}
    if not whole or not isinstance(expression, str) or not isinstance(path, str) or "[]" in path:
        expected = "canonical or here, outside lists, and jsonata"
        builder.bad(row.at, str(path), "a one-way row out of form", "table", expected)
        return
    try:
        if target == "here":
            builder.tree.place(path, "", expressions.into_place(expression, path, builder.reader.media), row.at)
            builder.values.losses.append(f"{path}: one-way: made by an expression when it is written, not read")
            return
        bound = builder.bind(path, row)
        if bound is not None:
            reader = builder.reader
            builder.derived.append(expressions.into_field(expression, bound[1], path, reader.media, reader.namespaces))
            builder.values.losses.append(f"{path}: one-way: made by an expression when it is read, not written")
    except expressions.Wrong as wrong:
        builder.bad((*row.at, "jsonata"), path, "an expression that cannot be used", "expression", str(wrong))


KIND = RowKind(
    words=frozenset({"jsonata"}),
    fits=lambda builder, row: "jsonata" in row.words,
    read=_read,
    optional=frozenset({"jsonata"}),
    not_in_cells="an expression",
)
