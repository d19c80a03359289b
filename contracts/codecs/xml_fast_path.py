"""Reads common XML documents by one regular expression a message.

A common document has its elements in the order of the plan, without attributes, comments or white space between them,
and one text each. It is matched whole, in the parser's own serialisation, and its texts are extracted by column.
Reading element by element costs three times as much.
Invariant: the result equals that of `contracts.codecs.xmlread`, or is None; that reader then reads and reports faults.
Plans with required attributes, keyed elements, choices, conditions, absence tokens or defaults have no fast reader.
This module stays only while `tests/attacks/test_attack_two_readers.py` finds no difference between the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from contracts.codecs.xmlleaf import simple_leaf
from contracts.mapping.frames import finisher, list_at
from contracts.mapping.plan import Node, Plan
from contracts.mapping.value_formats import LEXICAL, Bad
from contracts.wire.xmltext import ILLEGAL

MAX_TEXT: Final = 65_536  # longer texts use the other reader: a match keeps all its items in memory
_PREFIXES: Final = 8
_PREFIX: Final = re.compile(r"[A-Za-z_][\w.-]{0,30}")
_ESCAPED: Final = re.compile("&(?:amp|lt|gt|#13);")
_ESCAPES: Final = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&#13;": "\r"}

_ROOT: Final = re.compile(
    r'<(?:((?![xX][mM][lL])[A-Za-z_][\w.-]{0,30}):)?([A-Za-z_][\w.-]*) xmlns(?::([\w.-]+))?="([^"&<>\t\n\r]+)">',
    re.ASCII,
)

Convert = Callable[[str], Any] | None
Take = Callable[[str, Any], None]  # stores the text inside an element in a frame


class _Unsupported(Exception):
    """The plan has a feature that this reader lacks."""


class FastReaders(NamedTuple):
    """Readers of one message, from its root element or its canonical text; None for other documents."""

    element: Callable[[etree._Element], Any]
    text: Callable[[str], tuple[str, Any] | None]  # with the root's name


def compile_fast_readers(plan: Plan) -> FastReaders | None:
    """The fast readers of a plan; None for a plan that they do not support."""
    space = next((child.name.rpartition("}")[0] for child in plan.root.children), "")
    try:
        _content(plan.root, space, "")
    except _Unsupported:
        return None
    if plan.derived or plan.carried or plan.listings or plan.root.attributes:
        return None
    compiled: dict[str | None, tuple[Callable[[str], Any], list[Take]]] = {}

    def read(element: etree._Element) -> Any:
        if element.attrib or element.tag.rpartition("}")[0] != space:  # children must have the root's prefix
            return None
        return read_text(etree.tostring(element, encoding="unicode", with_tail=False), element.prefix)

    def read_canonical(text: str) -> tuple[str, Any] | None:
        root = _ROOT.match(text)
        if root is None or root[1] != root[3] or f"{{{root[4]}" != space or not _is_canonical(text):
            return None
        value = read_text(text, root[1])
        return None if value is None else (f"{space}}}{root[2]}", value)

    def read_text(text: str, prefix: str | None) -> Any:
        if len(text) > MAX_TEXT:
            return None
        ready = compiled.get(prefix)
        if ready is None:
            if len(compiled) >= _PREFIXES or prefix is not None and _PREFIX.fullmatch(prefix) is None:
                return None
            _, groups, takes = _content(plan.root, space, f"{prefix}:" if prefix else "")
            ready = compiled[prefix] = (
                re.compile(rf"<([^\s>/]+)(?: xmlns(?::[\w.-]+)?=\"[^\"]*\")*+>{groups}</\1>").fullmatch,
                takes,
            )
        match = ready[0](text)
        if match is None:
            return None
        into: dict[str, Any] = {}
        try:
            _spread(match.groups()[1:], ready[1], into)
        except Bad:
            return None
        return into

    return FastReaders(read, read_canonical)


def _is_canonical(text: str) -> bool:
    """Whether texts between tags without attributes are as exclusive C14N writes them, and legal XML."""
    if text.count(">") != text.count("<") or "\r" in text or ILLEGAL.search(text) is not None:
        return False
    references = text.count("&")
    return not references or references == text.count("&amp;") + text.count("&lt;") + text.count("&gt;")


def _spread(parts: Sequence[str | None], takes: Sequence[Take], into: Any) -> None:
    for part, take in zip(parts, takes, strict=True):
        if part is not None:
            take(part, into)


def _content(node: Node, space: str, prefix: str) -> tuple[str, str, list[Take]]:
    """Patterns of an element's content, without groups and with a group for each child, and the stores of each."""
    unsupported = (
        node.skips or None,
        node.choice,
        node.again,
        node.entry,
        node.absent,
        node.key_name,
        finisher(node),
        node.text,
    )
    if (
        any(each is not None for each in unsupported)
        or node.led_to
        or node.checks
        or any(leaf.keys is None for leaf in node.attributes.values())
    ):
        raise _Unsupported
    patterns, groups, takes = [], [], []
    for child in node.children:
        if child.kind == "ignore":
            continue  # a document that has it is read element by element
        head, _, local = child.name.rpartition("}")
        if head != space or child.absent is not None or child.key_name is not None:
            raise _Unsupported
        tag = re.escape(prefix + local)
        inside, take = _child(child, space, prefix, tag)
        often = "*+" if child.kind == "many" else "?+"
        patterns.append(f"(?:<{tag}>{inside}</{tag}>){often}")
        groups.append(
            f"((?:<{tag}>{inside}</{tag}>){often})" if child.kind == "many" else f"(?:<{tag}>({inside})</{tag}>){often}"
        )
        takes.append(take)
    return "".join(patterns), "".join(groups), takes


def _apart(groups: str, takes: list[Take]) -> Take:
    whole = re.compile(groups).fullmatch

    def take(text: str, into: Any) -> None:
        match = whole(text)
        assert match is not None  # it is part of a match
        _spread(match.groups(), takes, into)

    return take


def _child(node: Node, space: str, prefix: str, tag: str) -> tuple[str, Take]:
    if node.kind == "many":
        return _many(node, space, prefix, tag)
    if node.text is not None:
        key, convert = _leaf(node)
        return "[^<]*+", lambda text, into: into.__setitem__(key, _value(text, convert))
    inside, groups, takes = _content(node, space, prefix)
    take = _apart(groups, takes)
    if node.kind == "plain":
        return inside, take
    key = node.keys[0]

    def take_one(text: str, into: Any) -> None:
        item: dict[str, Any] = {}
        into[key] = item
        take(text, item)

    return inside, take_one


def _leaf(node: Node) -> tuple[str, Convert]:
    leaf = simple_leaf(node.text)
    if leaf is None or node.children or node.attributes or node.kind != "plain" or node.choice is not None:
        raise _Unsupported
    assert node.text is not None
    return leaf[0], node.text.form.read


def _value(text: str, convert: Convert) -> Any:
    if "&" in text:
        text = _ESCAPED.sub(lambda match: _ESCAPES[match.group()], text)
    return text if convert is None else convert(text)


def _many(node: Node, space: str, prefix: str, tag: str) -> tuple[str, Take]:
    find = list_at(node.keys)
    if node.text is not None:
        leaf = node.text
        if leaf.special is not None or leaf.words or leaf.keys != () or node.children or node.attributes:
            raise _Unsupported
        convert, each = leaf.form.read, re.compile(f"<{tag}>([^<]*+)</{tag}>").findall

        def take_texts(text: str, into: Any) -> None:
            if text:
                find(into).extend([_value(one, convert) for one in each(text)])

        return "[^<]*+", take_texts
    inside, groups, takes = _content(node, space, prefix)
    take = _apart(groups, takes)
    items = re.compile(f"<{tag}>({inside})</{tag}>").findall
    rows = (
        _rows(node, space, prefix, tag)
        if all(child.text is not None and child.kind == "plain" for child in node.children)
        else None
    )

    def take_items(text: str, into: Any) -> None:
        if not text:
            return
        target = find(into)
        if rows is not None and rows(text, target):
            return
        for part in items(text):
            item: dict[str, Any] = {}
            target.append(item)
            take(part, item)

    return inside, take_items


def _rows(node: Node, space: str, prefix: str, tag: str) -> Callable[[str, list[Any]], bool]:
    """Items that all have the fields of the first one, extracted by column."""
    leaves = {prefix + child.name.rpartition("}")[2]: _leaf(child) for child in node.children}
    names = re.compile("<([^</>]+)>").findall
    end = f"</{prefix + node.name.rpartition('}')[2]}>"
    shapes: dict[tuple[str, ...], tuple[Any, list[str], list[Convert]]] = {}

    def take(text: str, target: list[Any]) -> bool:
        shape = tuple(names(text, 0, text.index(end))[1:])
        if not shape:
            return False
        known = shapes.get(shape)
        if known is None:  # sets of fields that occur; at most 32 are kept
            if len(shapes) >= 32:
                return False
            chosen = [leaves[name] for name in shape]
            texts = [LEXICAL.get(convert, ("[^<]*+", convert)) for _, convert in chosen]
            row = "".join(
                f"<{re.escape(name)}>({text})</{re.escape(name)}>" for name, (text, _) in zip(shape, texts, strict=True)
            )
            known = shapes[shape] = (
                re.compile(f"<{tag}>{row}</{tag}>").findall,
                [key for key, _ in chosen],
                [convert for _, convert in texts],
            )
        each, keys, converts = known
        matches = each(text)
        if "&" in text or len(matches) != text.count(end):
            return False
        columns = zip(*matches, strict=True) if len(shape) > 1 else [matches]
        ready = [
            column if convert is None else map(convert, column)
            for column, convert in zip(columns, converts, strict=True)
        ]
        target.extend([dict(zip(keys, row, strict=True)) for row in zip(*ready, strict=True)])
        return True

    return take
