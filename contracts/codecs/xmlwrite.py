"""Compiles plans into writers of XML whose bytes are their own exclusive C14N (no comments).

A signer therefore need not canonicalise. Namespaces are declared where they are first visibly used, attributes are in
C14N's order, empty elements have an end tag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from contracts.codecs.absence import xml_writer
from contracts.mapping.frames import NAME, carrying, constant_checks, getter, key_writer, raw_getter, raw_writer, shown
from contracts.mapping.plan import CustomBinding, Leaf, Node, Plan
from contracts.mapping.steps import ANY, XML
from contracts.wire.soap import XSI
from contracts.wire.xmltext import escape_attribute, escape_text

Write = Callable[[Any], str]

_XSI_PREFIX: Final = frozenset({"xsi"})
_XSI: Final = f' xmlns:xsi="{XSI}" absent="'


def compile_writer(plan: Plan) -> Callable[[Any, str], str]:
    """A writer of the message. Its second argument is the root's local name (canonical format only)."""
    prefixes = {uri: prefix for prefix, uri in plan.namespaces.items()}
    tags = _Tags(prefixes)
    space = plan.root.name[1:].partition("}")[0] if plan.root.name.startswith("{") else ""
    prefix = prefixes.get(space, "")
    rendered = frozenset({prefix}) if space else frozenset()
    lead = f"{prefix}:" if prefix else ""
    declare = (
        (f' xmlns:{prefix}="{escape_attribute(space)}"' if prefix else f' xmlns="{escape_attribute(space)}"')
        if space
        else ""
    )
    extra, attributes = tags.attributes(plan.root, rendered)
    inner = _inner(plan.root, tags, rendered | extra)
    more = "".join(f' xmlns:{each}="{escape_attribute(plan.namespaces[each])}"' for each in sorted(extra))

    def write(value: Any, root: str) -> str:
        return f"<{lead}{root}{declare}{more}{attributes(value)}>{inner(value)}</{lead}{root}>"

    return carrying(write, plan)


class _Element(NamedTuple):
    """The parts of an element around its content, and the prefixes declared in it."""

    head: str
    tail: str
    below: frozenset[str]
    attributes: Write


class _Tags:
    def __init__(self, prefixes: dict[str, str]) -> None:
        self._prefixes = {**prefixes, XSI: "xsi", XML: "xml"}
        self.memo: dict[Any, list[Write]] = {}

    def name(self, clark: str) -> tuple[str, str, str]:
        """Qualified name, prefix, namespace of `{uri}local`."""
        if not clark.startswith("{"):
            return clark, "", ""
        space, _, local = clark[1:].partition("}")
        prefix = self._prefixes[space]
        return (f"{prefix}:{local}" if prefix else local), prefix, space

    def opening(
        self, clark: str, rendered: frozenset[str], also: frozenset[str] = frozenset()
    ) -> tuple[str, str, frozenset[str]]:
        """The start tag up to its attributes, the end tag, and the prefixes declared below."""
        name, prefix, space = self.name(clark)
        spaces = {prefix: space} if space and prefix not in rendered else {}
        for each in also - rendered:
            spaces[each] = next(uri for uri, known in self._prefixes.items() if known == each)
        declared = "".join(
            f' xmlns:{each}="{escape_attribute(spaces[each])}"'
            if each
            else f' xmlns="{escape_attribute(spaces[each])}"'
            for each in sorted(spaces)
        )
        return f"<{name}{declared}", f"</{name}>", rendered | frozenset(spaces)

    def attributes(self, node: Node, rendered: frozenset[str]) -> tuple[frozenset[str], Write]:
        """The prefixes that the node's attributes need, and their writer in the order of C14N."""
        written: list[tuple[str, str, Write]] = []
        needs: set[str] = set()
        for clark, leaf in node.attributes.items():
            name, prefix, space = self.name(clark)
            if prefix and space != XML:
                needs.add(prefix)
            written.append((space, clark.rpartition("}")[2], _attribute(name, leaf)))
        if node.key_name is not None and node.key_name.startswith("@"):
            fixed = f' {node.key_name[1:]}="{escape_attribute(node.key_value or "")}"'
            written.append(("", node.key_name[1:], lambda value: fixed))
        if not written:
            return frozenset(), lambda value: ""
        writers = [writer for _, _, writer in sorted(written, key=lambda each: each[:2])]
        return frozenset(needs) - rendered, lambda value: "".join([writer(value) for writer in writers])


def _inner(node: Node, tags: _Tags, rendered: frozenset[str]) -> Write:
    """The content of an element. A recursive type is compiled once for each set of declared prefixes."""
    source = node if node.again is None else node.again
    if not source.led_to:
        return _content(source, tags, rendered)
    key = (id(source), rendered)
    if key in tags.memo:
        cell = tags.memo[key]
        return lambda value: cell[0](value)
    cell = tags.memo[key] = []
    cell.append(_content(source, tags, rendered))
    return cell[0]


def _branches(
    discriminator: str, branches: list[tuple[tuple[str, ...], Node]], tags: _Tags, rendered: frozenset[str]
) -> Write:
    """Writes the branch of a choice that the discriminator names."""
    writers = {
        value: writer
        for values, branch in branches
        for writer in [_wrapped(branch, tags, rendered)]
        for value in values
    }

    def write(value: Any) -> str:
        writer = writers.get(value.get(discriminator))
        return "" if writer is None else writer(value)

    return write


def _wrapped(node: Node, tags: _Tags, rendered: frozenset[str]) -> Write:
    head, tail, below = tags.opening(node.name, rendered)
    inner = _inner(node, tags, below)
    return lambda value: f"{head}>{inner(value)}{tail}"


def _content(node: Node, tags: _Tags, rendered: frozenset[str]) -> Write:
    if node.choice is not None:
        return _branches(*node.choice, tags, rendered)
    if node.text is not None and node.text.special is not None:
        return _special(node.text.special, "", "", escape_text)
    if node.text is not None:
        text = _scalar(node.text)
        get = getter(node.text.keys or ())
        if node.text.keys is None:
            constant = escape_text(str(node.text.constant))
            return lambda value: constant

        def write_text(value: Any) -> str:
            item = get(value)
            return "" if item is None else text(item)

        return write_text
    writers = [_node(child, tags, rendered, node.children) for child in node.children if child.kind != "ignore"]
    writers = [*constant_checks(node), *writers]
    if len(writers) == 1:
        return writers[0]
    return lambda value: "".join([writer(value) for writer in writers])


def _node(node: Node, tags: _Tags, rendered: frozenset[str], siblings: Sequence[Node]) -> Write:
    written = _group(node, tags, rendered, siblings)
    if node.absent is None:
        return written
    head, tail, _ = tags.opening(node.name, rendered)
    return xml_writer(node.absent, head, tags.opening(node.name, rendered, _XSI_PREFIX)[0], tail, written)


def _group(node: Node, tags: _Tags, rendered: frozenset[str], siblings: Sequence[Node]) -> Write:
    needs, attributes = tags.attributes(node, rendered)
    head, tail, below = tags.opening(node.name, rendered, needs)
    plain_head = not node.attributes and node.key_name is None
    if node.entry is not None:
        return _entries(node, node.entry, siblings, tags, _Element(head, tail, below, attributes))
    if node.kind == "many":
        nil_head = tags.opening(node.name, rendered, _XSI_PREFIX)[0]
        return _many(node, tags, _Element(head, tail, below, attributes), nil_head)
    if node.kind == "one":
        return _one(node, tags, head, tail, below)
    if node.text is not None and not node.attributes:
        written = _leaf(node.text, head + attributes(None) + ">", tail, head)
        return (
            written
            if None not in node.text.tokens.values()
            else _nil(node.text, written, tags.opening(node.name, rendered, _XSI_PREFIX)[0], tail)
        )
    inner = _inner(node, tags, below)
    if not node.carries:
        return lambda value: f"{head}{attributes(value)}>{inner(value)}{tail}"
    if plain_head and all(leaf.keys is not None for leaf in node.placed()):
        start = head + ">"

        def write_group(value: Any) -> str:
            text = inner(value)
            return f"{start}{text}{tail}" if text else ""

        return write_group
    present = _presence(node)

    def write(value: Any) -> str:
        if not present(value):
            return ""
        return f"{head}{'' if plain_head else attributes(value)}>{inner(value)}{tail}"

    return write


def _presence(node: Node) -> Callable[[Any], bool]:
    """Whether a wrapping element has any content in the canonical value."""
    getters = [
        raw_getter(each)
        for each in (*node.attributes.values(), *([node.text] if node.text is not None else []))
        if each.keys is not None
    ]
    inner = []
    for child in node.children:
        if child.absent is not None:
            getters += [getter(child.absent.keys or ())] if child.absent.tokens else []
        if child.kind in ("many", "one"):
            getters.append(getter(child.keys))
        else:
            inner.append(_presence(child))
    return lambda value: any(get(value) is not None for get in getters) or any(test(value) for test in inner)


def _nil_items(leaf: Leaf, get: Callable[[Any], Any], element: _Element, nil_head: str) -> Write:
    """Items that are one value each; one without a value is an element with xsi:nil."""
    text, find, tokens = _scalar(leaf), shown(leaf), leaf.tokens
    nil = f'{nil_head} xsi:nil="true">{element.tail}'

    def item(each: Any) -> str:
        found = find(each)
        if found is None or isinstance(found, dict) and tokens[found["absent"]] is None:
            return nil
        return f"{element.head}>{text(found)}{element.tail}"

    return lambda value: "".join([item(each) for each in get(value) or ()])


def _many(node: Node, tags: _Tags, element: _Element, nil_head: str) -> Write:
    head, tail, below, attributes = element
    get = getter(node.keys)
    nil = node.nil
    plain = not node.attributes and not (node.key_name or "").startswith("@")
    start, between = head + ">", f"{tail}{head}>"
    item = _scalar(node.text) if plain and node.text is not None and node.text.keys == () else _inner(node, tags, below)
    if plain and node.text is not None and node.text.keys and None in node.text.words:
        return _nil_items(node.text, get, element, nil_head)

    def write(value: Any) -> str:
        items = get(value)
        if not items:
            return ""
        if isinstance(items, dict):
            return f'{head}{_XSI}{items["absent"]}" xsi:nil="true">{tail}' if nil else ""
        if plain:  # joined without a frame for each item
            return start + between.join([item(each) for each in items]) + tail
        return "".join([f"{head}{attributes(each)}>{item(each)}{tail}" for each in items])

    return write


def _entries(node: Node, name: Leaf, siblings: Sequence[Node], tags: _Tags, element: _Element) -> Write:
    """A keyed list: each item is an element named after one of its fields."""
    head, tail, below, attributes = element
    get, inner = getter(node.keys), _inner(node, tags, below)
    key_of = key_writer(name, {each.name.rpartition("}")[2] for each in siblings}, NAME)

    def write(value: Any) -> str:
        parts = []
        for item in get(value) or ():
            key = key_of(item)
            parts.append(f"{head.replace(ANY, key, 1)}{attributes(item)}>{inner(item)}{tail.replace(ANY, key, 1)}")
        return "".join(parts)

    return write


def _one(node: Node, tags: _Tags, head: str, tail: str, below: frozenset[str]) -> Write:
    key, nil, inner = node.keys[0], node.nil, _inner(node, tags, below)
    start = head + ">"

    def write(value: Any) -> str:
        item = value.get(key)
        if item is None:
            return ""
        if nil and "absent" in item:
            return f'{head}{_XSI}{item["absent"]}" xsi:nil="true">{tail}'
        return f"{start}{inner(item)}{tail}"

    return write


def _scalar(leaf: Leaf) -> Write:
    """A canonical value as escaped text; an absence as its token."""
    if leaf.special is not None:
        return _special(leaf.special, "", "", escape_text)
    raw = raw_writer(leaf)
    if raw is None and not leaf.tokens:
        return escape_text
    if leaf.scalar is not None and leaf.scalar.kind != "string" and not leaf.tokens and raw is not None:
        return raw
    return lambda value: escape_text(str(raw(value) if raw is not None else value))


def _nil(leaf: Leaf, write: Write, head: str, tail: str) -> Write:
    """A leaf with a reason for absence that the format expresses as xsi:nil."""
    find, tokens = shown(leaf), leaf.tokens

    def write_nil(value: Any) -> str:
        item = find(value)
        if isinstance(item, dict) and tokens[item["absent"]] is None:
            return f'{head} xsi:nil="true">{tail}'
        return write(value)

    return write_nil


def _special(binding: CustomBinding, start: str, tail: str, escape: Callable[[str], str]) -> Write:
    write_value = binding.write

    def write(value: Any) -> str:
        raw = write_value(value)
        return "" if raw is None else f"{start}{escape(str(raw))}{tail}"

    return write


def _leaf(leaf: Leaf, start: str, tail: str, head: str) -> Write:
    if leaf.special is not None:
        return _special(leaf.special, start, tail, escape_text)
    if leaf.keys is None:
        fixed = f"{start}{escape_text(str(leaf.constant))}{tail}"
        return lambda value: fixed
    text = _scalar(leaf)
    if leaf.nil:
        key = leaf.keys[0]

        def write_nil(value: Any) -> str:
            item = value.get(key)
            if item is None:
                return ""
            if item.__class__ is dict:
                return f'{head}{_XSI}{item["absent"]}" xsi:nil="true">{tail}'
            return f"{start}{text(item)}{tail}"

        return write_nil
    if len(leaf.keys) == 1 and not leaf.tokens:
        key = leaf.keys[0]

        def write(value: Any) -> str:
            item = value.get(key)
            if item is None or item.__class__ is dict:
                return ""
            return f"{start}{text(item)}{tail}"

        return write
    find = shown(leaf)

    def write_found(value: Any) -> str:
        item = find(value)
        return "" if item is None else f"{start}{text(item)}{tail}"

    return write_found


def _attribute(name: str, leaf: Leaf) -> Write:
    if leaf.special is not None:
        return _special(leaf.special, f' {name}="', '"', escape_attribute)
    if leaf.keys is None:
        fixed = f' {name}="{escape_attribute(str(leaf.constant))}"'
        return lambda value: fixed
    find, raw = shown(leaf), raw_writer(leaf)

    def write(value: Any) -> str:
        item = find(value)
        if item is None:
            return ""
        return f' {name}="{escape_attribute(str(item if raw is None else raw(item)))}"'

    return write
