"""Compiles plans into writers of JSON: closures over canonical values, fields in the order of the plan."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from contracts.canonical.findings import NotExpressible, kind_of
from contracts.codecs.absence import json_writer
from contracts.mapping.frames import carrying, constant_checks, getter, key_writer, raw_getter, raw_writer, shown
from contracts.mapping.plan import Leaf, Node, Plan

Write = Callable[[Any], str]
Memo = dict[int, list[Write]]  # writers of recursive types


def compile_writer(plan: Plan) -> Write:
    """A writer of the message as compact JSON."""
    return carrying(_whole(plan.root, {}), plan)


def _whole(node: Node, memo: Memo) -> Write:
    """An object, or the list that stands for it."""
    source = node if node.again is None else node.again
    if source.holds == "places":
        return _places(source, memo)
    inner = _members(node, memo)
    if source.holds == "members":
        return lambda value: "{" + inner(value) + "}"
    key = len('"":')
    return lambda value: inner(value)[key:] or "[]"


def _places(node: Node, memo: Memo) -> Write:
    """A list of a fixed length. Missing values at its end are not written; before the end null, if a row says so."""
    checks = constant_checks(node)
    places = [
        (
            len(encode_basestring(child.name)) + 1,
            _member(child, set(), memo),
            "" if child.text is None else _null(child.text),
        )
        for child in node.children
        if child.kind != "ignore"
    ]
    here, canonical = node.here, next((leaf.canonical for leaf in node.leaves() if leaf.keys is not None), "")

    def write(value: Any) -> str:
        for check in checks:
            check(value)
        texts = [member(value)[key:] for key, member, _ in places]
        while texts and not texts[-1]:
            texts.pop()
        texts = [text or null for text, (_, _, null) in zip(texts, places, strict=False)]
        if "" in texts:
            raise NotExpressible(here, canonical, "nothing", "required", "a value in each place before the last one")
        return "[" + ",".join(texts) + "]"

    return write


def _members(node: Node, memo: Memo) -> Write:
    """The members of an object. A recursive type is compiled once."""
    source = node if node.again is None else node.again
    if not source.led_to:
        return _content(source, memo)
    if id(source) in memo:
        cell = memo[id(source)]
        return lambda value: cell[0](value)
    cell = memo[id(source)] = []
    cell.append(_content(source, memo))
    return cell[0]


def _branches(discriminator: str, branches: list[tuple[tuple[str, ...], Node]], memo: Memo) -> Write:
    """Writes the members of the branch that the discriminator names."""
    writers = {value: writer for values, branch in branches for writer in [_members(branch, memo)] for value in values}

    def write(value: Any) -> str:
        writer = writers.get(value.get(discriminator))
        return "" if writer is None else writer(value)

    return write


def _content(node: Node, memo: Memo) -> Write:
    if node.choice is not None:
        return _branches(*node.choice, memo)
    taken = {child.name for child in node.children if child.entry is None}
    writers = [
        *constant_checks(node),
        *(_member(child, taken, memo) for child in node.children if child.kind != "ignore"),
    ]
    return lambda value: ",".join([text for writer in writers if (text := writer(value))])


def _member(node: Node, taken: set[str], memo: Memo) -> Write:
    if node.entry is not None:
        return _members_by_name(node, node.entry, taken, memo)
    key = encode_basestring(node.name) + ":"
    written = _member_of(node, key, memo)
    return written if node.absent is None else json_writer(node.absent, key, _literal, written)


def _member_of(node: Node, key: str, memo: Memo) -> Write:
    if node.kind == "many":
        return _members_of_list(node, key, memo)
    if node.kind == "one":
        return _one(node, key, memo)
    if node.text is not None:
        return _written_leaf(node.text, key)
    whole, nothing = _whole(node, memo), ("{}", "[]")
    constant = any(leaf.keys is None for leaf in node.placed())
    if not node.carries:
        return lambda value: key + whole(value)
    present = _presence(node) if constant else None

    def write(value: Any) -> str:
        if present is not None and not present(value):
            return ""
        text = whole(value)
        return "" if text in nothing else key + text

    return write


def _presence(node: Node) -> Callable[[Any], bool]:
    lists = [getter(child.keys) for child in node.children if child.kind == "many"]
    leaves = [child.text for child in node.children if child.kind == "plain" and child.text is not None]
    getters = [*lists, *(raw_getter(leaf) for leaf in leaves if leaf.keys is not None)]
    getters += [getter(child.absent.keys or ()) for child in node.children if child.absent and child.absent.tokens]
    inner = [_presence(child) for child in node.children if child.kind == "plain" and child.text is None]
    return lambda value: any(get(value) is not None for get in getters) or any(test(value) for test in inner)


def _members_of_list(node: Node, key: str, memo: Memo) -> Write:
    get = getter(node.keys)
    nil, always = node.nil, not node.skip_empty
    # Items are joined here, without a frame for each item.
    if node.text is None and (node.again or node).holds == "members":
        item, start, between, end = _members(node, memo), key + "[{", "},{", "}]"
    else:
        item, start, between, end = _item(node, memo), key + "[", ",", "]"

    def write(value: Any) -> str:
        items = get(value)
        if items is None:
            return ""
        if isinstance(items, dict):
            return f'{key}{{"absent":"{items["absent"]}"}}' if nil else ""
        if not items and not always:
            return ""
        if not items:
            return key + "[]"
        return start + between.join([item(each) for each in items]) + end

    return write


def _members_by_name(node: Node, name: Leaf, taken: set[str], memo: Memo) -> Write:
    get, item, key_of = getter(node.keys), _item(node, memo), key_writer(name, taken, None)

    def write(value: Any) -> str:
        members: dict[str, str] = {}
        for each in get(value) or ():
            key = key_of(each)
            if key in members:
                raise NotExpressible(
                    name.here, name.canonical, kind_of(key), "repeated", "each name once: they are members of an object"
                )
            members[key] = f"{encode_basestring(key)}:{item(each)}"
        return ",".join(members.values())

    return write


def _item(node: Node, memo: Memo) -> Write:
    if node.text is None:
        return _whole(node, memo)
    text = _scalar(node.text)
    if not node.text.keys or node.text.special is not None:
        return text
    of, nothing = shown(node.text), _null(node.text)

    def write(value: Any) -> str:
        found = of(value)
        return nothing if found is None else text(found)

    return write


def _null(leaf: Leaf) -> str:
    """What stands for a missing value where something must stand; "" where the format has no null for it."""
    return "null" if None in leaf.missing else ""


def _one(node: Node, key: str, memo: Memo) -> Write:
    name, nil, inner = node.keys[0], node.nil, _members(node, memo)

    def write(value: Any) -> str:
        item = value.get(name)
        if item is None:
            return ""
        if nil and "absent" in item:
            return f'{key}{{"absent":"{item["absent"]}"}}'
        return f"{key}{{{inner(item)}}}"

    return write


def _written_leaf(leaf: Leaf, key: str) -> Write:
    if leaf.special is not None:
        write_value = leaf.special.write

        def write_special(value: Any) -> str:
            raw = write_value(value)
            return "" if raw is None else key + _literal(raw)

        return write_special
    if leaf.keys is None:
        fixed = key + _literal(leaf.constant)
        return lambda value: fixed
    text = _scalar(leaf)
    if leaf.nil:
        name = leaf.keys[0]

        def write_nil(value: Any) -> str:
            item = value.get(name)
            if item is None:
                return ""
            if item.__class__ is dict:
                return f'{key}{{"absent":"{item["absent"]}"}}'
            return key + text(item)

        return write_nil
    if len(leaf.keys) == 1 and not leaf.tokens:
        only = leaf.keys[0]

        def write_only(value: Any) -> str:
            item = value.get(only)
            return "" if item is None or item.__class__ is dict else key + text(item)

        return write_only
    find = shown(leaf)

    def write(value: Any) -> str:
        item = find(value)
        return "" if item is None else key + text(item)

    return write


def _scalar(leaf: Leaf) -> Write:
    if leaf.special is not None:
        write_value = leaf.special.write
        return lambda value: _literal(write_value(value))
    raw = raw_writer(leaf)
    if raw is None:
        kind = leaf.scalar.kind if leaf.scalar is not None else "string"
        if kind in ("integer", "number"):
            return str  # of an int or a Decimal: no frame for each number
        return encode_basestring if kind == "string" else _literal
    return lambda value: _literal(raw(value))


def _literal(value: Any) -> str:
    if value.__class__ is str:
        return encode_basestring(value)
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if value is None:
        return "null"
    raise TypeError(f"{type(value).__name__} is no scalar of JSON")
