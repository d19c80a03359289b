"""One field in one place, as a part of something that is more: what splits, joins, conditions and codes in time build on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, Problems, filled, kind_of
from contracts.mapping.frames import raw_writer, setter, shown
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.value_formats import Bad

Where = Callable[[], str]


def plain(leaf: Leaf) -> CustomBinding:
    """One field in one place, as part of something that is more."""
    convert, words, canonical = leaf.form.read, leaf.words, leaf.canonical
    put: Callable[[Any, Any], None] = setter(leaf.keys) if leaf.keys else list.append
    find, raw = shown(leaf), raw_writer(leaf)

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        if words and (found is None or found.__class__ is str) and found in words:
            if words[found] is not None:
                put(into, {"absent": words[found]})
            return
        try:
            put(into, found if convert is None else convert(found))
        except Bad as bad:
            problems.add(where(), filled(canonical, index, 0), kind_of(found), bad.rule, bad.expected)

    def give(frame: Any) -> Any:
        found = find(frame)
        return found if found is None or raw is None else raw(found)

    return CustomBinding(take, give, (leaf,))
