"""The canonical value after a round trip through a format: the right side of decode(encode(c)) = normal(c).

Deliberately slow and simple: it specifies the compiled codecs and shares with them only the test whether there is an
object for a constant (`has_room`).
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
    """A function from a canonical value to its value after the round trip."""
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
        rules = _Rules(leaves=leaves, fills=fills, drops=drops, late=late, again=again, silent=silent, empty=empty)
        result = _struct(plan.struct, value, "", None, rules)
        for each in late:
            each(result)
        return result

    return normal


@dataclass(frozen=True, slots=True)
class _Rules:
    leaves: dict[str, Leaf]
    fills: dict[str, list[Fill]]
    drops: frozenset[str]
    late: list[Callable[[Any], None]]
    again: dict[str, str]  # a list whose items have the type of an enclosing list's items
    silent: set[str]  # fields written as constants of the table
    empty: set[str]  # lists that are written even if empty


def _fill(into: dict[str, Any], fill: Fill) -> None:
    if not has_room(into, fill):
        return
    for key in fill.keys[:-1]:
        into = into.setdefault(key, {})
    if fill.constant or fill.keys[-1] not in into:
        into[fill.keys[-1]] = fill.value


def _when(into: dict[str, Any], index: Index, fill: Fill) -> Callable[[Any], None]:
    return lambda root: _fill(into, fill) if fill.met is None or fill.met(root, into, index) else None


def _struct(struct: Struct, value: dict[str, Any], at: str, index: Index, rules: _Rules) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for field in struct.fields:
        path = f"{at}.{field.name}" if at else field.name
        if field.name not in value or path in rules.drops:
            continue
        item = _value(field.type, value[field.name], path, index, rules)
        if item is not None:
            result[field.name] = item
        elif field.required and isinstance(field.type, Struct) and "absent" not in value[field.name]:
            result[field.name] = _struct(field.type, value[field.name], path, index, rules)
    if at == "" or at.endswith("[]"):
        for fill in rules.fills.get(at, ()):
            if fill.late:
                rules.late.append(_when(result, index, fill))
            else:
                _fill(result, fill)
    return result


def _is_written(result: dict[str, Any], path: str, rules: _Rules) -> bool:
    """Whether anything is written for an object: an empty list of XML and a constant are not."""
    for name, item in result.items():
        at = f"{path}.{name}"
        if isinstance(item, dict) and "absent" not in item:
            if _is_written(item, at, rules):
                return True
        elif item != [] and at not in rules.silent or item == [] and at in rules.empty:
            return True
    return False


def _fields(type_: Struct | Choice | RecursiveRef) -> Struct:
    fields = group(type_)
    assert fields is not None
    return fields


def _value(type_: Type, value: Any, path: str, index: Index, rules: _Rules) -> Any:
    if isinstance(value, dict) and "absent" in value:
        leaf = rules.leaves.get(path)
        return value if leaf is not None and value["absent"] in leaf.tokens else None
    if not isinstance(type_, (Scalar, Array)):
        # An object that only wraps its fields exists through them alone.
        result = _struct(_fields(type_), value, path, index, rules)
        return result if _is_written(result, path, rules) else None
    if isinstance(type_, Array):
        inner = rules.again.get(path + "[]", path + "[]")
        return [
            _struct(_fields(type_.items), item, inner, (index, number), rules)
            if not isinstance(type_.items, Scalar)
            else _value(type_.items, item, inner, (index, number), rules)
            for number, item in enumerate(value)
        ]
    leaf = rules.leaves.get(path)
    if leaf is None:
        # Kept only where a constant represents it.
        return value if any(fill.canonical == path for each in rules.fills.values() for fill in each) else None
    return value if leaf.form.normal is None else leaf.form.normal(value)
