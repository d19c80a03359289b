"""What a message of a format has and the same message does not have when it is written again.

Such are empty elements, null and other words for nothing, and empty lists. A reader that demands the element then
refuses what the gateway writes, although the canonical message is the same. Paths are those of the table, without the
numbers of items; what the table ignores is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from lxml import etree

from contracts.codecs.codec import Codec
from contracts.mapping.plan import Node
from contracts.wire.soap import XSI, parse_xml

_MOST: Final = 20
_XSI: Final = f"{{{XSI}}}"


def unwritten(codec: Codec, message: str, raw: bytes | etree._Element, written: bytes) -> list[str]:
    """Losses: the places of `raw` that `written` does not have. Both are of the codec's own form of the message."""
    plan = codec.plans.get(message)
    if plan is None or codec.media not in ("json", "xml"):
        return []
    if codec.media == "xml":
        prefixes = {uri: prefix for prefix, uri in plan.namespaces.items()}
        before, after = (
            _places(plan.root, parse_xml(each) if isinstance(each, bytes) else each, prefixes)
            for each in (raw, written)
        )
    else:
        assert isinstance(raw, bytes)
        before, after = (dict.fromkeys(_members(plan.root, codec.parsed(message, each), "")) for each in (raw, written))
    top: list[str] = []
    for path in (each for each in before if each not in after):
        if len(top) < _MOST and not any(path.startswith((f"{each}/", f"{each}.", f"{each}[")) for each in top):
            top.append(path)
    return [f"{path}: in the message, not written again" for path in top]


def _places(root: Node, element: etree._Element, prefixes: dict[str, str]) -> dict[str, None]:
    paths: dict[str, None] = {}

    def name(clark: str) -> str:
        space, _, local = clark.lstrip("{").rpartition("}")
        prefix = prefixes.get(space, "")
        return f"{prefix}:{local}" if prefix else local

    stack = [(root, element, "")]
    while stack:
        node, each, at = stack.pop()
        source = node if node.again is None else node.again
        for attribute in each.attrib:
            if not str(attribute).startswith(_XSI) and attribute not in source.unread:
                paths[f"{at}@{name(str(attribute))}"] = None
        below = [
            (inner, child, at + name(child.tag))
            for child in each
            if isinstance(child.tag, str) and (inner := _child(node, child.tag)) is not None
        ]
        paths.update(dict.fromkeys(path for _, _, path in below))
        stack += [(inner, child, path + "/") for inner, child, path in reversed(below)]
    return paths


def _members(node: Node, value: Any, at: str) -> Iterator[str]:
    """The paths of members; a list has that of its member, and those below it with []."""
    if isinstance(value, dict):
        for name, each in value.items():
            if (below := _child(node, name)) is not None:
                path = f"{at}.{name}" if at else name
                yield path
                yield from _members(below, each, path)
    elif isinstance(value, list):
        listed = node if node.holds == "members" else None
        for number, each in enumerate(value):
            inner = listed or _child(node, "" if node.holds == "items" else str(number))
            if inner is not None:
                yield from _members(inner, each, f"{at}[]" if node.holds != "places" else f"{at}[{number}]")


def _child(node: Node, name: str) -> Node | None:
    """The node of a child; of several with a key the first. None for what the table ignores or does not know."""
    source = node if node.again is None else node.again
    found = next((each for each in source.children if each.name == name), None)
    found = found or next((each for each in source.children if each.entry is not None), None)
    return None if found is None or found.kind == "ignore" else found
