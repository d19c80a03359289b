"""The kinds of row. The first kind that fits a row reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from contracts.canonical.places import frame_of
from contracts.folder.source_locations import Path
from contracts.mapping.rows.builder import Builder
from contracts.mapping.rows.kinds import (
    absence,
    constant,
    distinct,
    expression,
    field,
    index,
    join,
    presence,
    recursion,
    split,
)
from contracts.mapping.rows.kinds.kind import RowKind
from contracts.mapping.rows.row import Row

KINDS: Final[tuple[RowKind, ...]] = (
    expression.KIND,
    absence.KIND,
    recursion.KIND,
    constant.KIND,
    presence.KIND,
    distinct.KIND,
    index.KIND,
    split.KIND,
    join.KIND,
    field.KIND,
)
_WORDS: Final = frozenset({"canonical", "here", "when"}).union(*(kind.words for kind in KINDS))
_OPTIONAL: Final = frozenset({"when"}).union(*(kind.optional for kind in KINDS))
_PARTS: Final = frozenset[str]().union(*(kind.words for kind in KINDS if kind.is_part))


def add_row(builder: Builder, words: Any, at: Path) -> None:
    """Adds one row of a table to the plan."""
    if not isinstance(words, dict) or not set(words) <= _WORDS or not ({"canonical", "here"} & set(words)):
        builder.bad(at, "", "not a row", "table", "canonical, here, and of " + ", ".join(sorted(_WORDS)))
        return
    condition = None
    if "when" in words:
        canonical = words.get("canonical")
        first = canonical[0] if isinstance(canonical, list) and canonical else canonical
        condition = builder.condition(words["when"], frame_of(str(first or "")), (*at, "when"))
        if condition is None:
            return
        if str(first).endswith("[]"):
            got = "a condition on a list of single values"
            builder.bad((*at, "when"), str(first), got, "unsupported", "a row for one value")
            return
    row = Row(words, at, condition)
    next(kind for kind in KINDS if kind.fits(builder, row)).read(builder, row)


def may_be_empty(words: Mapping[str, Any]) -> bool:
    """Whether the place of a row may be empty although its field is required."""
    return bool(_OPTIONAL & set(words))


def is_part(words: Mapping[str, Any]) -> bool:
    """Whether the place of a row holds a part of a text, or several values."""
    return bool(_PARTS & set(words))


def refused_in_cells(words: Mapping[str, Any]) -> str:
    """The name of a kind of row that tables of columns do not allow; else ""."""
    return next((kind.not_in_cells for kind in KINDS if kind.not_in_cells and kind.words & set(words)), "")
