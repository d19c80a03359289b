"""Writes Atom feeds (RFC 4287), in pages (RFC 5005 section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lxml import etree

from contracts.base.times import rfc3339
from contracts.wire.xmltext import ILLEGAL

NAMESPACE: Final = "http://www.w3.org/2005/Atom"
MEDIA_TYPE: Final = "application/atom+xml"
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"


@dataclass(frozen=True, slots=True)
class Link:
    rel: str
    href: str
    type: str


@dataclass(frozen=True, slots=True)
class Category:
    term: str
    scheme: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`id`, `author` and the links are as RFC 4287 has them; times are Unix seconds."""

    id: str
    title: str
    author: str
    updated: float
    links: Sequence[Link]
    categories: Sequence[Category] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    id: str
    title: str
    author: str
    updated: float
    language: str
    links: Sequence[Link]
    entries: Sequence[Entry]


def written(feed: Feed) -> bytes:
    names: dict[str | None, str] = {None: NAMESPACE}
    root = etree.Element(f"{{{NAMESPACE}}}feed", nsmap=names)  # type: ignore[arg-type]  # of its stubs
    root.set(f"{_XML}lang", feed.language)
    _head(root, feed)
    for entry in feed.entries:
        element = etree.SubElement(root, f"{{{NAMESPACE}}}entry")
        _head(element, entry)
        for each in entry.categories:
            etree.SubElement(
                element,
                f"{{{NAMESPACE}}}category",
                term=_legal(each.term),
                scheme=each.scheme,
                label=_legal(each.label),
            )
        if entry.summary:
            _text(element, "summary", entry.summary)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _head(parent: etree._Element, of: Feed | Entry) -> None:
    """What a feed and an entry have alike."""
    _text(parent, "id", of.id)
    _text(parent, "title", of.title)
    _text(parent, "updated", rfc3339(of.updated))
    _text(etree.SubElement(parent, f"{{{NAMESPACE}}}author"), "name", of.author)
    for each in of.links:
        etree.SubElement(parent, f"{{{NAMESPACE}}}link", rel=each.rel, href=each.href, type=each.type)


def _text(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = _legal(text)


def _legal(text: str) -> str:
    return ILLEGAL.sub("\ufffd", text)
