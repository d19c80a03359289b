"""Writing into the frames of a plan: the canonical object, or item of a list, that leaves belong to. Shared by the readers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.plan import Keys, Node


def list_at(keys: Keys) -> Callable[[Any], Any]:
    if len(keys) == 1:
        key = keys[0]

        def direct(into: Any) -> Any:
            items = into.get(key)
            if items is None:
                items = into[key] = []
            return items

        return direct
    parents, last = keys[:-1], keys[-1]

    def nested(into: Any) -> Any:
        for each in parents:
            into = into.setdefault(each, {})
        return into.setdefault(last, [])

    return nested


def setter(keys: Keys) -> Callable[[Any, Any], None]:
    parents, last = keys[:-1], keys[-1]

    def put(into: Any, value: Any) -> None:
        for each in parents:
            into = into.setdefault(each, {})
        into[last] = value

    return put


def finisher(node: Node) -> Callable[[Any], None] | None:
    """What a frame gets beside what stood in it: constants, defaults, and required arrays that may be empty."""
    if not node.fills and not node.empties:
        return None
    fills = [(setter(fill.keys), fill.keys, fill.value, fill.constant) for fill in node.fills]
    empties = list(node.empties)

    def finish(into: Any) -> None:
        for put, keys, value, constant in fills:
            if constant or missing(into, keys):
                put(into, value)
        for keys in empties:
            at = into
            for each in keys[:-1]:
                at = at.get(each) if isinstance(at, dict) else None
            if isinstance(at, dict):
                at.setdefault(keys[-1], [])

    return finish


def missing(into: Any, keys: Keys) -> bool:
    for each in keys:
        if not isinstance(into, dict) or each not in into:
            return True
        into = into[each]
    return False
