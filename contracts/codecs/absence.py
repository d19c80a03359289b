"""Reasons for the absence of a whole object or list: read and written in place of the group.

A row names the group and its tokens, as `{canonical: responsible, here: canBo, absent: {unknown: null}}`. Null is null
in JSON and xsi:nil in XML. Invariant: a message has the group or a reason for its absence, never both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from contracts.canonical.findings import Index, Problems, filled
from contracts.codecs.xmlleaf import Read, is_nil
from contracts.codecs.xmlproblems import Element, XmlProblems
from contracts.mapping.frames import getter, setter
from contracts.mapping.plan import Leaf
from contracts.wire.xmltext import escape_text

_BESIDE: Final = "the reason alone, or what it is the reason for"


def _put(leaf: Leaf) -> Callable[[Any, str, Index, Problems, str], None]:
    keys = leaf.keys or ()
    put, get = setter(keys), getter(keys)

    def write(into: Any, reason: str, index: Index, problems: Problems, where: str) -> None:
        if get(into) is not None:
            problems.add(
                where, filled(leaf.canonical, index, 0), "a reason for absence beside a value", "repeated", _BESIDE
            )
        else:
            put(into, {"absent": reason})

    return write


def _has_reason(leaf: Leaf) -> Callable[[Any], bool]:
    get = getter(leaf.keys or ())

    def has_reason(into: Any) -> bool:
        item = get(into)
        return isinstance(item, dict) and "absent" in item

    return has_reason


def json_reader(
    leaf: Leaf, inner: Callable[[Any, Any, Index, Problems], None]
) -> Callable[[Any, Any, Index, Problems], None]:
    """Reads a reason in place of the group, or the group by `inner`."""
    words, put, here = leaf.words, _put(leaf), leaf.here

    def read(raw: Any, into: Any, index: Index, problems: Problems) -> None:
        if (raw is None or raw.__class__ is str) and raw in words:
            if (reason := words[raw]) is not None:
                put(into, reason, index, problems, filled(here, index, 0))
        else:
            inner(raw, into, index, problems)

    return read


def json_writer(
    leaf: Leaf, key: str, literal: Callable[[Any], str], inner: Callable[[Any], str]
) -> Callable[[Any], str]:
    """Writes the reason, or the group by `inner`."""
    get, tokens = getter(leaf.keys or ()), leaf.tokens

    def write(value: Any) -> str:
        item = get(value)
        reason = str(item.get("absent")) if isinstance(item, dict) else ""
        return key + literal(tokens[reason]) if reason in tokens else inner(value)

    return write


def xml_reader(leaf: Leaf, inner: Read) -> Read:
    """As `json_reader`, for elements."""
    words, put, has_reason = leaf.words, _put(leaf), _has_reason(leaf)

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        word: str | None = element.text
        is_reason = not len(element) and word is not None and not element.attrib and word in words
        if None in words and is_nil(element):
            is_reason, word = True, None
        if is_reason:
            if (reason := words[word]) is not None:
                put(into, reason, index, problems, problems.path(element))
        elif has_reason(into):
            problems.add(
                problems.path(element),
                filled(leaf.canonical, index, 0),
                "a value beside its reason for absence",
                "repeated",
                _BESIDE,
            )
        else:
            inner(element, into, index, problems)

    return read


def xml_writer(leaf: Leaf, head: str, nil_head: str, tail: str, inner: Callable[[Any], str]) -> Callable[[Any], str]:
    """As `json_writer`, for elements; `nil_head` starts one with xsi:nil."""
    get, tokens = getter(leaf.keys or ()), leaf.tokens

    def write(value: Any) -> str:
        item = get(value)
        reason = str(item.get("absent")) if isinstance(item, dict) else ""
        if reason not in tokens:
            return inner(value)
        word = tokens[reason]
        return f'{nil_head} xsi:nil="true">{tail}' if word is None else f"{head}>{escape_text(word)}{tail}"

    return write
