"""Findings in XML. Paths are derived from the element only when needed, since the tree knows its parents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lxml import etree

from contracts.canonical.findings import Problems, moved

Element = etree._Element
_ATTRIBUTES: Final = etree.XPath("boolean(descendant-or-self::*/@*)")


class XmlProblems(Problems):
    """Findings whose path is derived from the element."""

    __slots__ = ("bare", "prefixes", "root")

    def __init__(self, root: Element, prefixes: Mapping[str, str], bare: bool | None = None) -> None:
        super().__init__()
        self.root = root
        # No attribute anywhere: one check for a message, since one for each element costs as much as reading it.
        self.bare = not _ATTRIBUTES(root) if bare is None else bare
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
            return ""  # not used any more; counting siblings each time would be expensive
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


class XmlInside(XmlProblems):
    """As `Inside`; only canonical paths are moved, since document paths come from the element."""

    __slots__ = ("_at", "_cut", "_outer")

    def __init__(self, outer: XmlProblems, at: str, cut: str) -> None:
        super().__init__(outer.root, outer.prefixes, outer.bare)
        self.findings, self.canonical, self.at = outer.findings, outer.canonical, outer.at
        self._outer, self._at, self._cut = outer, at, cut

    def add(self, here: str, canonical: str, got: str, rule: str, expected: str) -> None:
        self._outer.add(here, moved(canonical, self._at, self._cut), got, rule, expected)

    def defer(self, work: Callable[[Any], None]) -> None:
        self._outer.defer(work)

    def defer_last(self, work: Callable[[Any], None]) -> None:
        self._outer.defer_last(work)
