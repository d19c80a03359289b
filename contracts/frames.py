"""The frames of a plan: the canonical object, or item of a list, that leaves belong to. What readers put in and writers take out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contracts.forms import Bad
from contracts.plan import Keys, Leaf, Node, NotExpressible, kind_of


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


def getter(keys: Keys) -> Callable[[Any], Any]:
    """The value at a path of keys, or None; () is the value itself."""
    if not keys:
        return lambda value: value
    if len(keys) == 1:
        key = keys[0]
        return lambda value: value.get(key)
    parents, last = keys[:-1], keys[-1]

    def get(value: Any) -> Any:
        for each in parents:
            value = value.get(each)
            if value is None:
                return None
        return value.get(last)

    return get


def raw_writer(leaf: Leaf) -> Callable[[Any], Any] | None:
    """Canonical value to raw value of the format, with tokens for absence; None where it is written as it is."""
    write, tokens = leaf.form.write, leaf.tokens
    if write is None and not tokens:
        return None

    def convert(value: Any) -> Any:
        if tokens and isinstance(value, dict):
            return tokens[value["absent"]]
        if write is None:
            return value
        try:
            return write(value)
        except Bad as bad:
            raise NotExpressible(leaf.here, leaf.canonical, kind_of(value), bad.rule, bad.expected) from None

    return convert


def shown(leaf: Leaf) -> Callable[[Any], Any]:
    """The canonical value that is written for a leaf, None where nothing is: a reason for absence without a token is nothing."""
    get, tokens = getter(leaf.keys or ()), leaf.tokens

    def find(value: Any) -> Any:
        found = get(value)
        if isinstance(found, dict) and found["absent"] not in tokens:
            return None
        return found

    return find


def constant_checks(node: Node) -> list[Callable[[Any], str]]:
    """A canonical field that the format takes for granted can be written only where it has that value."""

    def check(keys: Keys, constant: Any, canonical: str) -> Callable[[Any], str]:
        get = getter(keys)

        def write(value: Any) -> str:
            found = get(value)
            if found is not None and found != constant:
                raise NotExpressible("", canonical, kind_of(found), "constant", f"{constant!r}: the format says nothing else")
            return ""

        return write

    return [check(fill.keys, fill.value, fill.canonical) for fill in node.fills if fill.constant]
