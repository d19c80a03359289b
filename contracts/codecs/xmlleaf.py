"""Readers of single values of XML: text of an element, attribute, absence. Structure: `contracts.codecs.xmlread`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lxml import etree

from contracts.canonical.findings import Index, filled, kind_of
from contracts.canonical.model import REASONS
from contracts.codecs.xmlproblems import Element, XmlProblems
from contracts.mapping.frames import setter
from contracts.mapping.plan import CustomBinding, Leaf
from contracts.mapping.value_formats import Bad
from contracts.wire.soap import XSI

Read = Callable[[Element, Any, Index, XmlProblems], None]

NIL: Final = f"{{{XSI}}}nil"
_REASONS: Final = frozenset(REASONS)


def is_nil(element: Element) -> bool:
    """Whether an element is empty and says by xsi:nil, and nothing else, that it has no value."""
    return element.get(NIL) in ("true", "1") and len(element.attrib) == 1 and not len(element) and not element.text


def read_absent(element: Element, canonical: str, index: Index, problems: XmlProblems) -> dict[str, Any]:
    """The absence of an element with xsi:nil; a finding if its form is wrong."""
    reason = element.get("absent")
    if (
        element.get(NIL) not in ("true", "1")
        or reason not in _REASONS
        or len(element.attrib) != 2
        or len(element)
        or element.text
    ):
        problems.add(
            problems.path(element),
            filled(canonical, index, 0),
            "an absence that is not in form",
            "absent",
            'an empty element with xsi:nil="true" and absent="' + "|".join(REASONS) + '"',
        )
    return {"absent": reason}


def value_reader(leaf: Leaf) -> Callable[[Element, Index, XmlProblems], Any]:
    """The canonical value of a leaf element; None, with a finding, where it has none."""
    if leaf.special is not None:
        return _special_value(leaf.special, leaf.canonical)
    convert, words, nil, canonical = leaf.form.read, leaf.words, leaf.nil, leaf.canonical
    nil_word = None in words

    def read(element: Element, index: Index, problems: XmlProblems) -> Any:
        raw: Any = element.text or ""
        if len(element) or not problems.bare and element.attrib:
            if nil and element.get(NIL) is not None:
                return read_absent(element, canonical, index, problems)
            if nil_word and is_nil(element):
                raw = None
            else:
                raw = careful_text(element, canonical, index, problems)
        if words and raw in words:
            reason = words[raw]
            return None if reason is None else {"absent": reason}
        if convert is None:
            return raw
        try:
            return convert(raw)
        except Bad as bad:
            problems.add(problems.path(element), filled(canonical, index, 0), kind_of(raw), bad.rule, bad.expected)
            return None

    return read


def _special_value(binding: CustomBinding, canonical: str) -> Callable[[Element, Index, XmlProblems], Any]:
    read_into = _special_reader(binding, canonical)

    def read(element: Element, index: Index, problems: XmlProblems) -> Any:
        box: list[Any] = []
        read_into(element, box, index, problems)
        return box[0] if box else None

    return read


def careful_text(element: Element, canonical: str, index: Index, problems: XmlProblems) -> str:
    """Text of an element with comments; other contents are findings."""
    text = element.text or ""
    for name in element.attrib:
        problems.add(
            f"{problems.path(element)}/@{problems.name(name)}",
            filled(canonical, index, 0),
            "an attribute",
            "unknown",
            "no attribute here",
        )
    for child in element:
        if not isinstance(child, etree._Comment):
            problems.add(problems.path(child), filled(canonical, index, 0), "an element", "unknown", "text only")
        text += child.tail or ""
    return text


def _special_reader(binding: CustomBinding, canonical: str) -> Read:
    read_value = binding.read

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        raw = element.text or ""
        if len(element) or element.attrib:
            raw = careful_text(element, canonical, index, problems)
        read_value(raw, into, index, problems, lambda: problems.path(element))

    return read


def simple_leaf(leaf: Leaf | None) -> tuple[str, Callable[[Any], Any]] | None:
    """Key and conversion of a leaf that is one field with one text; None for any other leaf."""
    if leaf is None or leaf.special is not None or leaf.words or leaf.keys is None or len(leaf.keys) != 1:
        return None
    return leaf.keys[0], leaf.form.read or str


def leaf_reader(leaf: Leaf) -> Read:
    """A reader of a leaf element into the frame."""
    if leaf.special is not None:
        return _special_reader(leaf.special, leaf.canonical)
    value = value_reader(leaf)
    if leaf.keys is None:
        constant = leaf.constant

        def check(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
            if value(element, index, problems) != constant:
                problems.add(problems.path(element), "", "another value", "constant", f"{constant!r}")

        return check
    if len(leaf.keys) == 1:
        key = leaf.keys[0]

        def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
            item = value(element, index, problems)
            if item is not None:
                into[key] = item

        return read
    put = setter(leaf.keys)

    def read_deep(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        item = value(element, index, problems)
        if item is not None:
            put(into, item)

    return read_deep


def text_reader(leaf: Leaf) -> Read:
    """Text of an element that has attributes in the plan."""
    convert, canonical = leaf.form.read, leaf.canonical
    words = leaf.words
    put = setter(leaf.keys) if leaf.keys else None
    binding = leaf.special

    def read(element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        raw = element.text or ""
        for child in element:
            if not isinstance(child, etree._Comment):
                problems.add(problems.path(child), filled(canonical, index, 0), "an element", "unknown", "text only")
            raw += child.tail or ""
        if binding is not None:
            binding.read(raw, into, index, problems, lambda: problems.path(element))
            return
        _store(raw, element, "", into, index, problems)

    def _store(raw: str, element: Element, suffix: str, into: Any, index: Index, problems: XmlProblems) -> None:
        if raw in words:
            value: Any = {"absent": words[raw]}
        elif convert is None:
            value = raw
        else:
            try:
                value = convert(raw)
            except Bad as bad:
                problems.add(
                    problems.path(element) + suffix, filled(canonical, index, 0), kind_of(raw), bad.rule, bad.expected
                )
                return
        if put is not None:
            put(into, value)
        elif value != leaf.constant:
            problems.add(problems.path(element) + suffix, "", "another value", "constant", f"{leaf.constant!r}")

    return read


def attribute_reader(leaf: Leaf, name: str) -> Callable[[str, Element, Any, Index, XmlProblems], None]:
    """A reader of an attribute into the frame."""
    binding = leaf.special
    if binding is not None:
        read_value = binding.read
        return lambda raw, element, into, index, problems: read_value(
            raw, into, index, problems, lambda: f"{problems.path(element)}/@{problems.name(name)}"
        )
    convert, canonical = leaf.form.read, leaf.canonical
    put = setter(leaf.keys) if leaf.keys else None
    words = leaf.words

    def read(raw: str, element: Element, into: Any, index: Index, problems: XmlProblems) -> None:
        value: Any = raw
        if raw in words:
            if words[raw] is None:
                return
            value = {"absent": words[raw]}
        elif convert is not None:
            try:
                value = convert(raw)
            except Bad as bad:
                problems.add(
                    f"{problems.path(element)}/@{problems.name(name)}",
                    filled(canonical, index, 0),
                    kind_of(raw),
                    bad.rule,
                    bad.expected,
                )
                return
        if put is not None:
            put(into, value)
        elif value != leaf.constant:
            problems.add(
                f"{problems.path(element)}/@{problems.name(name)}",
                "",
                "another value",
                "constant",
                f"{leaf.constant!r}",
            )

    return read
