"""Plans compiled into readers of JSON (writers: `contracts.codecs.jsonwrite`): closures over parsed values, nothing interpreted per message.

Content is closed: a field that the plan does not know is a finding with its path.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.canonical.findings import Index, Inside, Problems, filled, kind_of, started
from contracts.codecs.absence import json_reader
from contracts.codecs.jsonwrite import compile_writer as compile_writer
from contracts.mapping.frames import (
    finisher,
    list_at,
    setter,
    settled,
)
from contracts.mapping.plan import CustomBinding, Leaf, Node, Plan
from contracts.mapping.rows.parts import plain
from contracts.mapping.value_formats import Bad

Read = Callable[[Any, Any, Index, Problems], None]


def compile_reader(plan: Plan) -> Read:
    """A reader of the message's object into a dict; what is not an object is a finding."""
    return settled(_object(plan.root), plan)


def _object(node: Node) -> Read:
    """The members of an object. Those of a type that leads back to itself are read as the one above, only their paths are longer."""
    if node.again is None:
        read = _plain_object(node)
        if node.led_to:
            node.cell.append(read)
        return read
    cell = node.again.cell
    (start, cut), (_, cut_here) = started(node.again.canonical), started(node.again.here)

    def read_again(found: Any, into: Any, index: Index, problems: Problems) -> None:
        at = (filled(node.here, index, 0), filled(node.canonical, index, 0))
        cell[0](found, into, start, Inside(problems, at, (cut_here, cut)))

    return read_again


def _plain_object(node: Node) -> Read:
    table = {child.name: _node(child) for child in node.children if child.entry is None}
    others = next((_entries(child, child.entry) for child in node.children if child.entry is not None), None)
    known = "one of " + ", ".join(list(table)[:8]) + (", …" if len(table) > 8 else "")
    constants = [
        (child.name, child.text.here) for child in node.children if child.text is not None and child.text.keys is None
    ]
    finish = finisher(node)
    here, canonical = node.here, node.canonical

    def read(found: Any, into: Any, index: Index, problems: Problems) -> None:
        if not isinstance(found, dict):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(found), "type", "an object")
            return
        for name, value in found.items():
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
            if name not in found:
                problems.add(filled(at, index, 0), "", "nothing", "required", "the field")
        if finish is not None:
            finish(into, index, problems)

    return read


def _node(node: Node) -> Read:
    if node.kind == "ignore":
        return lambda found, into, index, problems: None
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
    find = list_at(node.keys)
    value = _value(node.text) if node.text is not None and node.text.keys == () else None
    item = _object(node) if node.text is None else _leaf(node.text) if value is None else _nothing

    def read(found: Any, into: Any, index: Index, problems: Problems) -> None:
        if not isinstance(found, list):
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(found), "type", "a list")
            return
        if not found and skip_empty:
            return
        items = find(into)
        for number, each in enumerate(found):
            inner = (index, number)
            if value is not None:
                items.append(value(each, inner, problems))
            else:
                made: dict[str, Any] = {}
                items.append(made)
                item(each, made, inner, problems)

    return read


def _entries(node: Node, name: Leaf) -> Callable[[str, Any, Any, Index, Problems], None]:
    """A member of a keyed list: its name is a field of the item, its value another."""
    find, take, here = list_at(node.keys), plain(name).read, node.here
    item = _object(node) if node.text is None else _leaf(node.text)

    def read(key: str, found: Any, into: Any, index: Index, problems: Problems) -> None:
        items = find(into)
        made: dict[str, Any] = {}
        inner = (index, len(items))
        items.append(made)
        take(key, made, inner, problems, lambda: filled(here, inner, 0))
        item(found, made, inner, problems)

    return read


def _nothing(found: Any, into: Any, index: Index, problems: Problems) -> None:
    """Stands where a list holds scalars and no item is read as an object."""


def _value(leaf: Leaf) -> Callable[[Any, Index, Problems], Any]:
    if leaf.special is not None:
        return _special_value(leaf.special, leaf.here)
    convert, here, canonical = leaf.form.read, leaf.here, leaf.canonical
    words = leaf.words

    def read(found: Any, index: Index, problems: Problems) -> Any:
        if words and (found is None or found.__class__ is str) and found in words:
            reason = words[found]
            return None if reason is None else {"absent": reason}
        if convert is None:
            return found
        try:
            return convert(found)
        except Bad as bad:
            problems.add(filled(here, index, 0), filled(canonical, index, 0), kind_of(found), bad.rule, bad.expected)
            return None

    return read


def _special_value(special: CustomBinding, here: str) -> Callable[[Any, Index, Problems], Any]:
    take = special.read

    def read(found: Any, index: Index, problems: Problems) -> Any:
        box: list[Any] = []
        take(found, box, index, problems, lambda: filled(here, index, 0))
        return box[0] if box else None

    return read


def _leaf(leaf: Leaf) -> Read:
    if leaf.special is not None:
        take, at = leaf.special.read, leaf.here
        return lambda found, into, index, problems: take(found, into, index, problems, lambda: filled(at, index, 0))
    value = _value(leaf)
    if leaf.keys is None:
        constant, here = leaf.constant, leaf.here

        def check(found: Any, into: Any, index: Index, problems: Problems) -> None:
            if found != constant or type(found) is not type(constant):
                problems.add(filled(here, index, 0), "", "another value", "constant", f"{constant!r}")

        return check
    put = setter(leaf.keys)

    def read(found: Any, into: Any, index: Index, problems: Problems) -> None:
        made = value(found, index, problems)
        if made is not None:
            put(into, made)

    return read
