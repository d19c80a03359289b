"""Renders a guide of `docs/` as HTML (CommonMark 0.31 and tables), with the anchors that GitHub gives to headings.

Invariant: HTML inside a guide is shown as text. No address of it is followed but http, https, and what `where` returns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

# From a target of the guide to an address of the site and what the page is called there; None: it is not there.
Where = Callable[[str], tuple[str, str] | None]

_PARSER = MarkdownIt("commonmark", {"html": False}).enable("table")
_COMMENT = re.compile(r"(?m)^<!--.*-->\n")
_DROPPED = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Part:
    """What stands below one heading, as text. `anchor` is empty before the first one."""

    anchor: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Guide:
    """`title` is that of the first heading. `contents` names the headings of the second level with their anchors."""

    title: str
    html: str
    contents: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def guide(text: str, where: Where) -> Guide:
    """The HTML of a guide. Every link without an address on the site becomes text."""
    tokens = _PARSER.parse(_COMMENT.sub("", text))
    headings = dict(_headings(tokens))
    for token in tokens:
        if token.children:
            token.children = list(_linked(token.children, where))
    html = _PARSER.renderer.render(list(_framed(tokens)), _PARSER.options, {})
    first = next(iter(headings.values()), ("", "", ""))
    return Guide(
        title=first[1],
        html=html.replace("<pre><code", '<pre tabindex="0"><code'),  # it scrolls; what a guide says is escaped
        contents=tuple((anchor, heading) for anchor, heading, level in headings.values() if level == "h2"),
        parts=tuple(_parts(tokens, headings)),
    )


def _headings(tokens: Sequence[Token]) -> Iterator[tuple[int, tuple[str, str, str]]]:
    """The place of each heading: its anchor, its text and its level. The anchors are written into the tokens."""
    seen: dict[str, int] = {}
    for place, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = _text(tokens[place + 1])
            anchor = _DROPPED.sub("", heading.strip().lower()).replace(" ", "-")
            count = seen[anchor] = seen.get(anchor, -1) + 1
            anchor += f"-{count}" if count else ""
            token.attrSet("id", anchor)
            yield place, (anchor, heading, token.tag)


def _text(token: Token) -> str:
    """The words of a token, without marks."""
    if not token.children:
        return token.content
    return "".join(" " if each.type in ("softbreak", "hardbreak") else each.content for each in token.children)


def _parts(tokens: Sequence[Token], headings: dict[int, tuple[str, str, str]]) -> Iterator[Part]:
    anchor, heading, words = "", "", list[str]()
    for place, token in enumerate(tokens):
        if place in headings:
            if words:
                yield Part(anchor, heading, " ".join(words))
            (anchor, heading, _), words = headings[place], []
        elif token.type in ("inline", "fence", "code_block"):
            words.append(_text(token))
    yield Part(anchor, heading, " ".join(words))


def _linked(tokens: Sequence[Token], where: Where) -> Iterator[Token]:
    """A link whose text is the name of a file shows what the page is called."""
    dropped, named = 0, ""
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href") or "")
            found = (target, "") if target.startswith(("https://", "http://")) else where(target)
            if found is None:
                dropped += 1
                continue
            token.attrSet("href", found[0])
            named = found[1]
        elif token.type == "link_close" and dropped:
            dropped -= 1
            continue
        elif token.type == "image":
            found = where(str(token.attrGet("src") or ""))
            if found is None:
                yield Token("text", "", 0, content=_text(token))
                continue
            token.attrSet("src", found[0])
            token.attrSet("loading", "lazy")
        elif token.type == "text" and named and token.content.endswith(".md"):
            token.content = named
        yield token


def _framed(tokens: Sequence[Token]) -> Iterator[Token]:
    """Wide tables scroll alone, and each heading has a link to itself."""
    anchor = ""
    for token in tokens:
        if token.type == "table_open":
            yield _html('<div class="scroll" tabindex="0">')
        if token.type == "heading_open":
            anchor = "" if token.tag == "h1" else str(token.attrGet("id"))
        if token.type == "heading_close" and anchor:
            yield _html(f' <a class="cite" href="#{escape(anchor)}" aria-hidden="true" tabindex="-1">#</a>')
        yield token
        if token.type == "table_close":
            yield _html("</div>")


def _html(text: str) -> Token:
    return Token("html_block", "", 0, content=text)
