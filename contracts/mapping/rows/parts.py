"""Binds one field to one place; splits, joins, conditions and dated codes build on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, Problems, filled, kind_of
from contracts.mapping.frames import raw_writer, setter, shown
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.value_formats import Bad

Where = Callable[[], str]


def plain(leaf: Leaf) -> CustomBinding:
    """The binding of one field in one place, as part of another binding."""
    if leaf.special is not None:
        return leaf.special
    convert, words, canonical = leaf.form.read, leaf.words, leaf.canonical
    put: Callable[[Any, Any], None] = setter(leaf.keys) if leaf.keys else list.append
    find, raw = shown(leaf), raw_writer(leaf)

    def read_value(raw_value: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        if words and (raw_value is None or raw_value.__class__ is str) and raw_value in words:
            if words[raw_value] is not None:
                put(into, {"absent": words[raw_value]})
            return
        try:
            put(into, raw_value if convert is None else convert(raw_value))
        except Bad as bad:
            problems.add(where(), filled(canonical, index, 0), kind_of(raw_value), bad.rule, bad.expected)

    def write_value(frame: Any) -> Any:
        value = find(frame)
        return value if value is None or raw is None else raw(value)

    return CustomBinding(read_value, write_value, (leaf,))
