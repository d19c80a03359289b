"""What a canonical value becomes on its way through a format and back: the right side of the law decode(encode(c)) = normal(c).

Slow and plain on purpose: it is the specification that the compiled codecs are held to, and shares no code with them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.model import Many, Struct, Type
from contracts.plan import Fill, Leaf, Plan


def compile_normal(plan: Plan) -> Callable[[dict[str, Any]], dict[str, Any]]:
    leaves = {leaf.canonical: leaf for leaf in plan.root.leaves() if leaf.keys is not None}
    fills: dict[str, list[Fill]] = {}
    for node in plan.root.nodes():
        for fill in node.fills:
            fills.setdefault(node.canonical, []).append(fill)
    return lambda value: _struct(plan.struct, value, "", leaves, fills, plan.drops) or {}


def _struct(
    made: Struct, value: dict[str, Any], at: str, leaves: dict[str, Leaf], fills: dict[str, list[Fill]], drops: frozenset[str]
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for field in made.fields:
        path = f"{at}.{field.name}" if at else field.name
        if field.name not in value or path in drops:
            continue
        item = _value(field.type, value[field.name], path, leaves, fills, drops)
        if item is not None:
            kept[field.name] = item
    if at == "" or at.endswith("[]"):
        for fill in fills.get(at, ()):
            into = kept
            for key in fill.keys[:-1]:
                into = into.setdefault(key, {})
            if fill.constant or fill.keys[-1] not in into:
                into[fill.keys[-1]] = fill.value
    return kept


def _value(made: Type, value: Any, path: str, leaves: dict[str, Leaf], fills: dict[str, list[Fill]], drops: frozenset[str]) -> Any:
    if isinstance(value, dict) and "absent" in value:
        leaf = leaves.get(path)
        return value if leaf is not None and value["absent"] in leaf.tokens else None
    if isinstance(made, Struct):
        # An object that is only wrapping for its fields has nothing to be told by when it is empty.
        return _struct(made, value, path, leaves, fills, drops) or None
    if isinstance(made, Many):
        inner = path + "[]"
        if isinstance(made.items, Struct):
            return [_struct(made.items, item, inner, leaves, fills, drops) for item in value]
        return [_value(made.items, item, inner, leaves, fills, drops) for item in value]
    leaf = leaves.get(path)
    if leaf is None:
        # Kept only where a constant stands for it.
        return value if any(fill.canonical == path for each in fills.values() for fill in each) else None
    return value if leaf.form.normal is None else leaf.form.normal(value)
