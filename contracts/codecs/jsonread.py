"""Compiles plans into readers of JSON: closures over parsed values, nothing interpreted per message.

Content is closed: a field that the plan does not know is a finding with its path.
Writers: `contracts.codecs.jsonwrite`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, Inside, Problems, filled, kind_of, started
from contracts.codecs.absence import json_reader
from contracts.codecs.jsonwrite import compile_writer as compile_writer
from contracts.mapping.frames import finisher, list_at, setter, settled
from contracts.mapping.plan import CustomBinding, Leaf, Node, Plan
from contracts.mapping.rows.parts import plain
from contracts.mapping.value_formats import Bad

Read = Callable[[Any, Any, Index, Problems], None]


def compile_reader(plan: Plan) -> Read:
    """A reader of the message's object into a dict. A value that is not an object is a finding."""
    return settled(_object(plan.root), plan)


def _object(node: Node) -> Read:
    """The members of an object. A recursive type is read by the enclosing type's reader, with longer paths."""
    if node.again is None:
        read = _plain_object(node) if node.holds == "members" else _listed(node)
        if node.led_to:
            node.cell.append(read)
        return read
    cell = node.again.cell
    (start, cut), (_, cut_here) = started(node.again.canonical), started(node.again.here)

    def read_again(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        at = (filled(node.here, index, 0), filled(node.canonical, index, 0))
        cell[0](raw, into, start, Inside(problems, at, (cut_here, cut)))

    return read_again


def _listed(node: Node) -> Read:
    """A value that is a list: its items are those of the one child, or it has a child for each place."""
    members, here, canonical = _plain_object(node), node.here, node.canonical
    if node.holds == "items":
        return lambda raw, into, index, problems: members({"": raw}, into, index, problems)
    names = [child.name for child in node.children]
    expected = f"at most {len(names)} values"

    def read(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        if not isinstance(raw, list):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(raw), "type", "a list")
        elif len(raw) > len(names):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), f"{len(raw)} values", "length", expected)
        else:
            members(dict(zip(names, raw, strict=False)), into, index, problems)

    return read


def _plain_object(node: Node) -> Read:
    table = {child.name: _node(child) for child in node.children if child.entry is None}
    others = next((_entries(child, child.entry) for child in node.children if child.entry is not None), None)
    known = "one of " + ", ".join(list(table)[:8]) + (", …" if len(table) > 8 else "")
    constants = [
        (child.name, child.text.here) for child in node.children if child.text is not None and child.text.keys is None
    ]
    finish = finisher(node)
    here, canonical = node.here, node.canonical

    def read(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        if not isinstance(raw, dict):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(raw), "type", "an object")
            return
        for name, value in raw.items():
            reader = table.get(name)
            if reader is None and others is not None:
                others(name, value, into, index, problems)
            elif reader is None:
                at = filled(here, index, 0)
                problems.add(
                    f"{at}.{name[:60]}" if at else name[:60],
                    "",
                    "a field that the format does not have",
                    "unknown",
                    known,
                )
            else:
                reader(value, into, index, problems)
        for name, at in constants:
            if name not in raw:
                problems.add(filled(at, index, 0), "", "nothing", "required", "the field")
        if finish is not None:
            finish(into, index, problems)

    return read


def _node(node: Node) -> Read:
    if node.kind == "ignore":
        return lambda raw, into, index, problems: None
    if node.absent is not None:
        return json_reader(node.absent, _group(node))
    return _group(node)


def _group(node: Node) -> Read:
    if node.kind == "many":
        return _many(node)
    if node.text is not None:
        return _leaf(node.text)
    return _object(node)


def _many(node: Node) -> Read:
    here, canonical, skip_empty = node.here.removesuffix("[]"), node.canonical.removesuffix("[]"), node.skip_empty
    find, skips = list_at(node.keys), node.skips
    value = _value(node.text) if node.text is not None and node.text.keys == () else None
    item = _object(node) if node.text is None else _leaf(node.text) if value is None else _nothing

    def read(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        if not isinstance(raw, list):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(raw), "type", "a list")
            return
        if not raw and skip_empty:
            return
        items = find(into)
        if skips:
            raw = [each for each in raw if not (each is None or each.__class__ is str) or each not in skips]
        for number, each in enumerate(raw):
            inner = (index, number)
            if value is not None:
                items.append(value(each, inner, problems))
            else:
                entry: dict[str, Any] = {}
                items.append(entry)
                item(each, entry, inner, problems)

    return read


def _entries(node: Node, name: Leaf) -> Callable[[str, Any, Any, Index, Problems], None]:
    """A member of a keyed list: its name is one field of the item, its value the others."""
    find, read_name, here = list_at(node.keys), plain(name).read, node.here
    item = _object(node) if node.text is None else _leaf(node.text)

    def read(key: str, raw: Any, into: Any, index: Index, problems: Problems) -> None:
        items = find(into)
        entry: dict[str, Any] = {}
        inner = (index, len(items))
        items.append(entry)
        read_name(key, entry, inner, problems, lambda: filled(here, inner, 0))
        item(raw, entry, inner, problems)

    return read


def _nothing(raw: Any, into: Any, index: Index, problems: Problems) -> None:
    """For lists of scalars, whose items are not read as objects."""


def _value(leaf: Leaf) -> Callable[[Any, Index, Problems], Any]:
    if leaf.special is not None:
        return _special_value(leaf.special, leaf.here)
    convert, here, canonical = leaf.form.read, leaf.here, leaf.canonical
    words = leaf.words

    def read(raw: Any, index: Index, problems: Problems) -> Any:
        if words and (raw is None or raw.__class__ is str) and raw in words:
            reason = words[raw]
            return None if reason is None else {"absent": reason}
        if convert is None:
            return raw
        try:
            return convert(raw)
        except Bad as bad:
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(raw), bad.rule, bad.expected)
            return None

    return read


def _special_value(binding: CustomBinding, here: str) -> Callable[[Any, Index, Problems], Any]:
    read_value = binding.read

    def read(raw: Any, index: Index, problems: Problems) -> Any:
        box: list[Any] = []
        read_value(raw, box, index, problems, lambda: filled(here, index, 0))
        return box[0] if box else None

    return read


def _leaf(leaf: Leaf) -> Read:
    if leaf.special is not None:
        read_value, at = leaf.special.read, leaf.here
        return lambda raw, into, index, problems: read_value(raw, into, index, problems, lambda: filled(at, index, 0))
    value = _value(leaf)
    if leaf.keys is None:
        constant, here = leaf.constant, leaf.here

        def check(raw: Any, into: Any, index: Index, problems: Problems) -> None:
            if raw != constant or type(raw) is not type(constant):
                problems.add(filled(here, index, 0), "", "another value", "constant", f"{constant!r}")

        return check
    put = setter(leaf.keys)

    def read(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        item = value(raw, index, problems)
        if item is not None:
            put(into, item)

    return read
