"""What a canonical value becomes on its way through a format and back: the right side of the law decode(encode(c)) = normal(c).

Slow and plain on purpose: it is the specification that the compiled codecs are held to, and shares no code with them
but the question whether there is an object for a constant to go into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contracts.canonical.findings import Index
from contracts.canonical.model import Array, Choice, RecursiveRef, Scalar, Struct, Type, group
from contracts.mapping.frames import has_room
from contracts.mapping.plan import Fill, Leaf, Plan


def compile_normal(plan: Plan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    leaves = {leaf.canonical: leaf for leaf in plan.root.leaves() if leaf.keys is not None}
    again = {node.canonical: node.again.canonical for node in plan.root.nodes() if node.again is not None}
    silent = {fill.canonical for node in plan.root.nodes() for fill in node.fills if fill.constant}
    lists = (
        node
        for node in plan.root.nodes()
        if plan.media == "json" and node.kind == "many" and node.entry is None and not node.skip_empty
    )
    empty = {node.canonical.removesuffix("[]") for node in lists}
    drops = plan.drops | {each.canonical for each in plan.derived}
    fills: dict[str, list[Fill]] = {}
    for node in plan.root.nodes():
        for fill in node.fills:
            fills.setdefault(node.canonical, []).append(fill)

    def normal(value: dict[str, Any]) -> dict[str, Any]:
        late: list[Callable[[Any], None]] = []
        kept = _struct(plan.struct, value, "", None, _Rules(leaves, fills, drops, late, again, silent, empty)) or {}
        for each in late:
            each(kept)
        return kept

    return normal


@dataclass(frozen=True, slots=True)
class _Rules:
    leaves: dict[str, Leaf]
    fills: dict[str, list[Fill]]
    drops: frozenset[str]
    late: list[Callable[[Any], None]]
    again: dict[str, str]  # a list whose items are as those of a list above it
    silent: set[str]  # fields that constants of the table stand for
    empty: set[str]  # lists that are written when they are empty


def _fill(into: dict[str, Any], fill: Fill) -> None:
    if not has_room(into, fill):
        return
    for key in fill.keys[:-1]:
        into = into.setdefault(key, {})
    if fill.constant or fill.keys[-1] not in into:
        into[fill.keys[-1]] = fill.value


def _when(into: dict[str, Any], index: Index, fill: Fill) -> Callable[[Any], None]:
    return lambda root: _fill(into, fill) if fill.met is None or fill.met(root, into, index) else None


def _struct(made: Struct, value: dict[str, Any], at: str, index: Index, rules: _Rules) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for field in made.fields:
        path = f"{at}.{field.name}" if at else field.name
        if field.name not in value or path in rules.drops:
            continue
        item = _value(field.type, value[field.name], path, index, rules)
        if item is not None:
            kept[field.name] = item
        elif field.required and isinstance(field.type, Struct) and "absent" not in value[field.name]:
            kept[field.name] = _struct(field.type, value[field.name], path, index, rules)
    if at == "" or at.endswith("[]"):
        for fill in rules.fills.get(at, ()):
            if fill.late:
                rules.late.append(_when(kept, index, fill))
            else:
                _fill(kept, fill)
    return kept


def _told(kept: dict[str, Any], path: str, rules: _Rules) -> bool:
    """Whether anything is written for an object: an empty list of XML is not, a constant of the table is not."""
    for name, item in kept.items():
        at = f"{path}.{name}"
        if isinstance(item, dict) and "absent" not in item:
            if _told(item, at, rules):
                return True
        elif item != [] and at not in rules.silent or item == [] and at in rules.empty:
            return True
    return False


def _fields(made: Struct | Choice | RecursiveRef) -> Struct:
    fields = group(made)
    assert fields is not None
    return fields


def _value(made: Type, value: Any, path: str, index: Index, rules: _Rules) -> Any:
    if isinstance(value, dict) and "absent" in value:
        leaf = rules.leaves.get(path)
        return value if leaf is not None and value["absent"] in leaf.tokens else None
    if not isinstance(made, (Scalar, Array)):
        # An object that is only wrapping for its fields is told by them alone.
        kept = _struct(_fields(made), value, path, index, rules)
        return kept if _told(kept, path, rules) else None
    if isinstance(made, Array):
        inner = rules.again.get(path + "[]", path + "[]")
        return [
            _struct(_fields(made.items), item, inner, (index, number), rules)
            if not isinstance(made.items, Scalar)
            else _value(made.items, item, inner, (index, number), rules)
            for number, item in enumerate(value)
        ]
    leaf = rules.leaves.get(path)
    if leaf is None:
        # Kept only where a constant stands for it.
        return value if any(fill.canonical == path for each in rules.fills.values() for fill in each) else None
    return value if leaf.form.normal is None else leaf.form.normal(value)
