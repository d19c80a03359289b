"""Compiles plans into readers of XML: closures over lxml elements, nothing interpreted per message.

Content is closed: an element, attribute or text that the plan does not know is a finding with its path. In the
canonical format the order of elements is that of the XSD. Comments are skipped, processing instructions rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from lxml import etree

from contracts.canonical.findings import Index, filled, kind_of, started
from contracts.codecs.absence import xml_reader
from contracts.codecs.xmlleaf import (
    NIL,
    Read,
    attribute_reader,
    is_nil,
    leaf_reader,
    read_absent,
    simple_leaf,
    text_reader,
    value_reader,
)
from contracts.codecs.xmlproblems import Element, XmlInside, XmlProblems
from contracts.mapping.frames import finisher, list_at, settled
from contracts.mapping.plan import Leaf, Node, Plan
from contracts.mapping.rows.parts import plain
from contracts.mapping.steps import ANY
from contracts.mapping.value_formats import Bad
from contracts.wire.soap import XSI

_LOCATIONS: Final = frozenset({f"{{{XSI}}}schemaLocation", f"{{{XSI}}}noNamespaceSchemaLocation"})
_SPACE: Final = " \t\r\n"


def compile_reader(plan: Plan) -> Read:
    """A reader of the message's root element into a dict."""
    return settled(_content(plan.root, plan, root=True), plan)


def _content(node: Node, plan: Plan, root: bool = False) -> Read:
    """Reads attributes, text and children of an element into the given frame."""
    if node.again is not None:
        return _again(node, node.again)
    if not node.led_to:
        return _plain_content(node, plan, root)
    read = _plain_content(node, plan, root)
    node.cell.append(read)
    return read


def _again(node: Node, above: Node) -> Read:
    """The content of a recursive type: read by the enclosing type's reader, with longer paths."""
    cell, (start, cut) = above.cell, started(above.canonical)

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        cell[0](element, into, start, XmlInside(problems, filled(node.canonical, index, 0), cut))

    return read


def _plain_content(node: Node, plan: Plan, root: bool) -> Read:
    attributes = _attributes(node, root)
    text = None if node.text is None else text_reader(node.text)
    children = (
        _children(node, plan) if node.children else None if node.choice is None else _branches(node, *node.choice, plan)
    )
    finish = finisher(node)

    if text is None and children is not None and finish is None and not node.attributes and not root:
        inner = children

        def read_children(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
            if not problems.bare:
                attributes(element, into, index, problems)
            inner(element, into, index, problems)

        return read_children

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        attributes(element, into, index, problems)
        if text is not None:
            text(element, into, index, problems)
        elif children is None:
            if len(element) or (element.text or "").strip(_SPACE):
                _nothing_here(element, problems)
        else:
            children(element, into, index, problems)
        if finish is not None:
            finish(into, index, problems)

    return read


def _nothing_here(element: Element, problems: XmlProblems) -> None:
    for child in element:
        if not isinstance(child, etree._Comment):
            problems.unknown(child, [])
    if (element.text or "").strip(_SPACE):
        problems.add(problems.path(element), "", "text between elements", "unknown", "elements only")


def _children(node: Node, plan: Plan) -> Read:
    table: dict[str, Any] = {}
    others: Any = None
    space = ""
    for order, child in enumerate(node.children):
        if child.entry is not None:
            others, space = (0, order, _entries(child, child.entry, plan), None), child.name.removesuffix(ANY)
            continue
        entry = (
            0 if child.kind == "many" or child.repeats else 1 << order,
            order,
            _node(child, plan),
            simple_leaf(child.text) if _is_leaf(child) else None,
        )
        if child.key_name is None:
            table[child.name] = entry
        else:
            keyed = table.setdefault(child.name, _Keyed(child.key_name))
            keyed.entries[child.key_value] = entry
    known, get = list(table), table.get
    some_keyed = any(isinstance(each, _Keyed) for each in table.values())
    strict = plan.strict

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        seen, last = 0, -1
        stray = element.text
        for child in element:
            tail = child.tail
            if tail is not None and tail.strip(_SPACE):
                stray = tail
            entry = get(child.tag)
            if entry is None:
                if (
                    others is None
                    or not isinstance(child.tag, str)
                    or child.tag.rpartition("}")[0] + "}" * bool(space) != space
                ):
                    if not isinstance(child, etree._Comment):
                        problems.unknown(child, known)
                    continue
                entry = others
            elif some_keyed and entry.__class__ is _Keyed:
                entry = entry.pick(child, problems)
                if entry is None:
                    continue
            bit, order, reader, leaf = entry
            if seen & bit:
                problems.add(problems.path(child), "", "the element a second time", "repeated", "the element once")
                continue
            seen |= bit
            if order < last and strict:
                problems.add(
                    problems.path(child),
                    "",
                    "an element out of order",
                    "order",
                    "the order " + ", ".join(problems.name(tag) for tag in known[:12]),
                )
            else:
                last = order
            if leaf is not None and not len(child) and (problems.bare or not child.attrib):  # most elements
                try:
                    into[leaf[0]] = leaf[1](child.text or "")
                    continue
                except Bad:
                    pass  # the reader reports it
            reader(child, into, index, problems)
        if stray is not None and stray.strip(_SPACE):
            problems.add(problems.path(element), "", "text between elements", "unknown", "elements only")

    return read


def _branches(node: Node, discriminator: str, branches: list[tuple[tuple[str, ...], Node]], plan: Plan) -> Read:
    """One element that names the branch of a choice; the discriminator inside must agree."""
    table = {branch.name: (values, _content(branch, plan)) for values, branch in branches}
    canonical = f"{node.canonical}.{discriminator}"

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        chosen = False
        if (element.text or "").strip(_SPACE) or any((child.tail or "").strip(_SPACE) for child in element):
            problems.add(problems.path(element), "", "text between elements", "unknown", "elements only")
        for child in element:
            entry = table.get(child.tag)
            if entry is None:
                if not isinstance(child, etree._Comment):
                    problems.unknown(child, list(table))
            elif chosen:
                problems.add(problems.path(child), "", "a second branch of a choice", "repeated", "one branch")
            else:
                chosen = True
                entry[1](child, into, index, problems)
                if into.get(discriminator, entry[0][0]) not in entry[0]:
                    words = "one of " + ", ".join(entry[0])
                    problems.add(
                        problems.path(child), filled(canonical, index, 0), kind_of(into[discriminator]), "code", words
                    )

    return read


def _entries(node: Node, name: Leaf, plan: Plan) -> Read:
    """An element of a keyed list: its name is one field of the item, its content the others."""
    find, content, read_name = list_at(node.keys), _content(node, plan), plain(name).read

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        items = find(into)
        item: dict[str, Any] = {}
        inner = (index, len(items))
        items.append(item)
        read_name(element.tag.rpartition("}")[2], item, inner, problems, lambda: problems.path(element))
        content(element, item, inner, problems)

    return read


class _Keyed:
    """Elements of one name distinguished by an attribute (`@x`) or a child element."""

    __slots__ = ("attribute", "entries", "key_name")

    def __init__(self, key_name: str) -> None:
        self.attribute = key_name.startswith("@")
        self.key_name = key_name.removeprefix("@")
        self.entries: dict[str | None, Any] = {}

    def pick(self, element: Element, problems: XmlProblems) -> Any:
        if self.attribute:
            key = element.get(self.key_name)
        else:
            key_element = element.find(self.key_name)
            key = None if key_element is None else key_element.text or ""
        entry = self.entries.get(key)
        if entry is None:
            shown = ", ".join(sorted(str(each) for each in self.entries)[:8])
            name = self.key_name if self.attribute else problems.name(self.key_name)
            problems.add(
                problems.path(element),
                "",
                "no key" if key is None else "a key that the format does not have",
                "unknown",
                f"{'@' if self.attribute else ''}{name} of {shown}",
            )
        return entry


def _node(node: Node, plan: Plan) -> Read:
    if node.kind == "ignore":
        return lambda element, into, index, problems: None
    return _group(node, plan) if node.absent is None else xml_reader(node.absent, _group(node, plan))


def _group(node: Node, plan: Plan) -> Read:
    if node.kind == "many":
        return _many(node, plan)
    if node.kind == "one":
        return _one(node, plan)
    return leaf_reader(node.text) if node.text is not None and _is_leaf(node) else _content(node, plan)


def _is_leaf(node: Node) -> bool:
    """Only a text: no children, attributes, key, or token for the absence of a group."""
    bare = (
        not node.children and not node.attributes and not node.unread and node.key_name is None and node.absent is None
    )
    return node.kind == "plain" and node.text is not None and bare


def _one(node: Node, plan: Plan) -> Read:
    key, nil = node.keys[0], node.nil
    content = _content(node, plan)

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        if nil and element.get(NIL) is not None:
            into[key] = read_absent(element, node.canonical, index, problems)
            return
        item: dict[str, Any] = {}
        into[key] = item
        content(element, item, index, problems)

    return read


def _many(node: Node, plan: Plan) -> Read:
    nil, canonical = node.nil, node.canonical
    find, one_text = list_at(node.keys), _one_text(node)
    plain = not node.children and not node.attributes and not node.unread
    scalar = node.text is not None and plain and node.text.keys == ()
    value = value_reader(node.text) if scalar and node.text is not None else None
    content = None if scalar else leaf_reader(node.text) if node.text is not None and one_text else _content(node, plan)

    if content is None:
        assert value is not None
        single = value

        def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
            items = find(into)
            items.append(single(element, (index, len(items)), problems))
    else:
        read_item = content

        def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
            items = find(into)
            item: dict[str, Any] = {}
            inner = (index, len(items))
            items.append(item)
            read_item(element, item, inner, problems)

    if node.skips:
        return _skipping(read, node.skips, scalar)
    if not nil:
        return read

    key = node.keys[0]

    def read_nil(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        before = into.get(key)
        if element.get(NIL) is None and not isinstance(before, dict):
            read(element, into, index, problems)
        elif before is None:
            into[key] = read_absent(element, canonical.removesuffix("[]"), index, problems)
        else:
            problems.add(
                problems.path(element),
                filled(canonical.removesuffix("[]"), index, 0),
                "a reason for absence beside items",
                "repeated",
                "the reason alone, or items",
            )

    return read_nil


def _skipping(read: Read, words: Sequence[str | None], of_texts: bool) -> Read:
    """Reads an item, unless it is nil or a word for nothing."""
    nil, texts = None in words, frozenset(words) if of_texts else frozenset()

    def read_unless(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        if element.attrib:
            over = nil and is_nil(element)
        else:
            over = not len(element) and (element.text or "") in texts
        if not over:
            read(element, into, index, problems)

    return read_unless


def _one_text(node: Node) -> bool:
    """Whether an item of a list is one value that may be nil: an element with a text, and nothing to add."""
    alone = not node.attributes and not node.unread and not node.children and node.key_name is None
    return alone and node.text is not None and None in node.text.words and finisher(node) is None


def _attributes(node: Node, root: bool) -> Read:
    """Reads the attributes of the plan; others are findings (the root may have a schema location)."""
    key_attribute = (
        node.key_name.removeprefix("@") if node.key_name is not None and node.key_name.startswith("@") else None
    )
    leaves = {name: attribute_reader(leaf, name) for name, leaf in node.attributes.items()}
    passed = {*node.unread, key_attribute, *(_LOCATIONS if root else ())}
    wanted = [(name, leaf) for name, leaf in node.attributes.items() if leaf.keys is None]

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        if not wanted and (problems.bare or not element.attrib):
            return
        for name, raw in element.attrib.items():
            reader = leaves.get(str(name))
            if reader is not None:
                reader(str(raw), element, into, index, problems)
            elif name not in passed:
                problems.add(
                    f"{problems.path(element)}/@{problems.name(name)}",
                    "",
                    "an attribute that the format does not have",
                    "unknown",
                    "one of " + ", ".join("@" + each for each in leaves) if leaves else "no attribute here",
                )
        for name, _ in wanted:
            if element.get(name) is None:
                problems.add(
                    f"{problems.path(element)}/@{problems.name(name)}", "", "nothing", "required", "the attribute"
                )

    return read
