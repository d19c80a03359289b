"""Several values in one place (`split`), and one value out of several places (`join`): the parts of a text between separators.

Invariant: what is written falls apart into the same parts again, or it is refused; nothing is guessed from a text with other parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from contracts.canonical.findings import Index, NotExpressible, Problems, filled, kind_of
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


def split(leaves: Sequence[Leaf], optional: Sequence[bool], separator: str) -> CustomBinding:
    """One text, several fields. An optional field that is missing is an empty part; when all are missing nothing is written."""
    parts = [plain(leaf) for leaf in leaves]
    expected = f"{len(leaves)} parts with {separator!r} between them"
    first = leaves[0]

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        pieces = found.split(separator) if isinstance(found, str) else ()
        if len(pieces) != len(parts):
            problems.add(where(), filled(first.canonical, index, 0), kind_of(found), "format", expected)
            return
        for piece, part, may_miss in zip(pieces, parts, optional, strict=True):
            if piece or not may_miss:
                part.read(piece, into, index, problems, where)

    def give(frame: Any) -> Any:
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

    return CustomBinding(take, give, tuple(leaves))


def split_list(leaf: Leaf, keys: tuple[str, ...], separator: str) -> CustomBinding:
    """One text, the items of a list."""
    convert, raw, canonical = leaf.form.read, raw_writer(leaf), leaf.canonical
    put, find = setter(keys), shown(Leaf(keys, leaf.form, canonical, leaf.here))

    def take(found: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
        if not isinstance(found, str):
            problems.add(
                where(),
                filled(canonical, index, 0),
                kind_of(found),
                "type",
                f"a text with {separator!r} between the values",
            )
            return
        made = []
        for number, piece in enumerate(found.split(separator)):
            try:
                made.append(piece if convert is None else convert(piece))
            except Bad as bad:
                problems.add(where(), filled(canonical, (index, number), 0), kind_of(piece), bad.rule, bad.expected)
        put(into, made)

    def give(frame: Any) -> Any:
        items = find(frame)
        if not items:
            return None
        pieces = [str(item if raw is None else raw(item)) for item in items]
        text = separator.join(pieces)
        if text.split(separator) != pieces:
            raise NotExpressible(leaf.here, canonical, kind_of(items), "format", f"values without {separator!r}")
        return text

    return CustomBinding(take, give, (leaf,))


def join(leaf: Leaf, whole: CustomBinding, places: Sequence[str], separator: str, first: int) -> list[CustomBinding]:
    """Several places, one field: a special for each place. All of them are there, or none."""
    name, canonical = f"\0{leaf.canonical}", leaf.canonical
    expected = f"{len(places)} parts, none of them with {separator!r}"

    def special(at: int) -> CustomBinding:
        def take(found: Any, into: Any, index: Index, problems: Problems, where: Where) -> None:
            if not isinstance(found, str) or separator in found:
                problems.add(
                    where(), filled(canonical, index, 0), kind_of(found), "format", f"text without {separator!r}"
                )
                return
            cells = into.get(name)
            if cells is None:
                cells = into[name] = [None] * len(places)
                problems.defer(lambda root: settle(into, index, problems, where))
            cells[at] = found

        def give(frame: Any) -> Any:
            text = whole.write(frame)
            if text is None:
                return None
            pieces = text.split(separator)
            if len(pieces) != len(places):
                raise NotExpressible(places[at], canonical, kind_of(text), "format", expected)
            return pieces[at]

        return CustomBinding(take, give, (leaf,))

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

    return [special(at) for at in range(len(places))]
