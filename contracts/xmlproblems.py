"""Findings in XML, with paths read off the element: the tree knows its parents, so nothing is kept while all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lxml import etree

from contracts.plan import Index, Problems, filled

Element = etree._Element


class XmlProblems(Problems):
    """Findings whose path is read off the element: the tree knows its parents."""

    __slots__ = ("prefixes", "root")

    def __init__(self, root: Element, prefixes: Mapping[str, str]) -> None:
        super().__init__()
        self.root = root
        self.prefixes = prefixes

    def name(self, tag: Any) -> str:
        if not isinstance(tag, str):
            return "processing-instruction()"
        space, _, local = tag[1:].partition("}") if tag[0] == "{" else ("", "", tag)
        prefix = self.prefixes.get(space, "")
        local = local[:60]
        return f"{prefix}:{local}" if prefix else local

    def path(self, element: Element) -> str:
        if self.full:
            return ""  # nobody will read it, and counting siblings a million times would be the sender's joke
        steps: list[str] = []
        at: Element | None = element
        while at is not None:
            name = self.name(at.tag)
            if at is self.root:
                steps.append(name)
                break
            parent = at.getparent()
            before = sum(1 for _ in at.itersiblings(at.tag, preceding=True))
            alone = not before and next(at.itersiblings(at.tag), None) is None
            steps.append(name if alone else f"{name}[{before + 1}]")
            at = parent
        return "/".join(reversed(steps))

    def unknown(self, element: Element, known: list[str]) -> None:
        shown = [self.name(tag) for tag in known[:8]]
        self.add(
            self.path(element),
            "",
            "an element that the format does not have",
            "unknown",
            "one of " + ", ".join(shown) + (", …" if len(known) > 8 else "") if shown else "no element here",
        )


class Inside(XmlProblems):
    """Findings in what is as something above it: the paths are those of above (`cut`), and become those of where it really is."""

    __slots__ = ("_canonical", "_cut", "_index", "_outer")

    def __init__(self, outer: XmlProblems, canonical: str, index: Index, cut: str) -> None:
        super().__init__(outer.root, outer.prefixes)
        self.findings, self.canonical = outer.findings, outer.canonical
        self._outer, self._canonical, self._index, self._cut = outer, canonical, index, cut

    def add(self, here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        if canonical:
            rest = canonical[len(self._cut) :]
            canonical = filled(self._canonical, self._index, 0) + ("." if rest and rest[0] not in ".[" else "") + rest
        self._outer.add(here, canonical, got, rule, expected)
